import t from 'tap'
import { CipherError, createCipher, deriveKey } from '../../../src/grants/vault/cipher.ts'

const key = (id: string, fill: number) => ({ id, bytes: Buffer.alloc(32, fill) })
const AAD = 'grants:location:one'
const PLAINTEXT = '{"accessToken":"äöü 🙂 token"}'

/** The sealed value with one bit of the byte at `index` flipped. */
function flipBit(sealed: string, index: number): string {
  const [id = '', text = ''] = sealed.split('.')
  const bytes = Buffer.from(text, 'base64url')
  bytes[index] = (bytes[index] ?? 0) ^ 1
  return `${id}.${bytes.toString('base64url')}`
}

t.test('a sealed value opens with the same associated data, and does not reveal the plaintext', async (t) => {
  const { seal, open } = createCipher([key('k1', 1)])

  for (const plaintext of [PLAINTEXT, '', 'x'.repeat(20_000)]) {
    const sealed = seal(plaintext, AAD)

    t.equal(open(sealed, AAD), plaintext)
    t.match(sealed, /^k1\.[A-Za-z0-9_-]+$/)
    t.notMatch(Buffer.from(sealed.slice(3), 'base64url').toString(), 'token')
  }
})

t.test('a value does not open with other associated data', async (t) => {
  const { seal, open } = createCipher([key('k1', 1)])
  const sealed = seal(PLAINTEXT, AAD)

  for (const aad of ['grants:location:two', 'vault_keys:location:one', ''])
    t.throws(() => open(sealed, aad), { name: 'CipherError', message: / cannot be opened with key k1$/ })
})

t.test('a value with any one byte changed does not open', async (t) => {
  const { seal, open } = createCipher([key('k1', 1)])
  const sealed = seal('ab', AAD)
  const size = Buffer.from(sealed.slice(3), 'base64url').length

  t.equal(size, 12 + 2 + 16)
  for (let index = 0; index < size; index += 1)
    t.throws(() => open(flipBit(sealed, index), AAD), CipherError, `byte ${index}`)
})

t.test('a truncated value does not open, whatever its length', async (t) => {
  const { seal, open } = createCipher([key('k1', 1)])
  const sealed = seal('ab', AAD)

  for (const length of [3, 4, 10, 20, sealed.length - 2])
    t.throws(() => open(sealed.slice(0, length), AAD), CipherError, `${length} characters`)
})

t.test('a value sealed with an unknown key is refused, naming the key id', async (t) => {
  const sealed = createCipher([key('retired', 1)]).seal(PLAINTEXT, AAD)

  t.throws(() => createCipher([key('k1', 1)]).open(sealed, AAD), {
    name: 'CipherError',
    message: 'VAULT_KEYS lacks the key retired'
  })
})

t.test('a different key with the same id does not open the value, and the error does not reveal it', async (t) => {
  const sealed = createCipher([key('k1', 1)]).seal(PLAINTEXT, AAD)

  t.throws(() => createCipher([key('k1', 2)]).open(sealed, AAD), {
    name: 'CipherError',
    message: `The value sealed for ${AAD} cannot be opened with key k1`,
    cause: Error
  })
})

t.test('an unsealed value is refused, and the error does not repeat it', async (t) => {
  const { open } = createCipher([key('k1', 1)])

  t.throws(() => open('plain-token-in-the-wrong-column', AAD), CipherError)
  try {
    open('plain-token-in-the-wrong-column', AAD)
  } catch (error) {
    t.notMatch(String(error), 'plain-token')
  }
})

t.test('the first key seals, and every key opens', async (t) => {
  const old = createCipher([key('old', 1)]).seal(PLAINTEXT, AAD)

  const rotated = createCipher([key('new', 2), key('old', 1)])

  t.equal(rotated.open(old, AAD), PLAINTEXT)
  t.match(rotated.seal(PLAINTEXT, AAD), /^new\./)
  t.equal(rotated.sealingKeyId, 'new')
  t.strictSame(rotated.keyIds, ['new', 'old'])
})

t.test('no two values are sealed with the same nonce', async (t) => {
  const { seal } = createCipher([key('k1', 1)])

  const nonces = Array.from({ length: 1_000 }, () => seal(PLAINTEXT, AAD).slice(3, 3 + 16))

  t.equal(new Set(nonces).size, 1_000)
})

t.test('a cipher needs at least one key', async (t) => {
  t.throws(() => createCipher([]), { name: 'CipherError', message: 'VAULT_KEYS is empty' })
})

t.test('a derived key depends on the purpose and the key, and on nothing else', async (t) => {
  const derived = deriveKey(key('k1', 1), 'install state')

  t.equal(derived.length, 32)
  t.strictSame(deriveKey(key('other id', 1), 'install state'), derived)
  t.notSame(deriveKey(key('k1', 1), 'install states'), derived)
  t.notSame(deriveKey(key('k1', 2), 'install state'), derived)
  t.notSame(derived, Buffer.alloc(32, 1))
})
