import t from 'tap'
import { CipherError, createCipher, deriveKey } from '../../../src/grants/vault/cipher.ts'

const key = (id: string, fill: number) => ({ id, bytes: Buffer.alloc(32, fill) })
const IDENTITY = 'grants:location:one'
const PLAIN = '{"accessToken":"äöü 🙂 token"}'

/** The sealed text with one bit of the byte at `index` changed. */
function changed(sealed: string, index: number): string {
  const [id = '', text = ''] = sealed.split('.')
  const bytes = Buffer.from(text, 'base64url')
  bytes[index] = (bytes[index] ?? 0) ^ 1
  return `${id}.${bytes.toString('base64url')}`
}

t.test('what is sealed opens under the same identity, and does not show', async (t) => {
  const { seal, open } = createCipher([key('k1', 1)])

  for (const plain of [PLAIN, '', 'x'.repeat(20_000)]) {
    const sealed = seal(plain, IDENTITY)

    t.equal(open(sealed, IDENTITY), plain)
    t.match(sealed, /^k1\.[A-Za-z0-9_-]+$/)
    t.notMatch(Buffer.from(sealed.slice(3), 'base64url').toString(), 'token')
  }
})

t.test('a text that was moved to another identity does not open', async (t) => {
  const { seal, open } = createCipher([key('k1', 1)])
  const sealed = seal(PLAIN, IDENTITY)

  for (const identity of ['grants:location:two', 'vault_keys:location:one', ''])
    t.throws(() => open(sealed, identity), { name: 'CipherError', message: / cannot be opened with key k1$/ })
})

t.test('a text of which any one byte was changed does not open', async (t) => {
  const { seal, open } = createCipher([key('k1', 1)])
  const sealed = seal('ab', IDENTITY)
  const size = Buffer.from(sealed.slice(3), 'base64url').length

  t.equal(size, 12 + 2 + 16)
  for (let index = 0; index < size; index += 1)
    t.throws(() => open(changed(sealed, index), IDENTITY), CipherError, `byte ${index}`)
})

t.test('a text that was cut does not open, however little is left', async (t) => {
  const { seal, open } = createCipher([key('k1', 1)])
  const sealed = seal('ab', IDENTITY)

  for (const length of [3, 4, 10, 20, sealed.length - 2])
    t.throws(() => open(sealed.slice(0, length), IDENTITY), CipherError, `${length} characters`)
})

t.test('a text under a key that is not configured names the key id', async (t) => {
  const sealed = createCipher([key('retired', 1)]).seal(PLAIN, IDENTITY)

  t.throws(() => createCipher([key('k1', 1)]).open(sealed, IDENTITY), {
    name: 'CipherError',
    message: 'VAULT_KEYS lacks the key retired'
  })
})

t.test('another key under the same id does not open the text, and the refusal shows nothing of it', async (t) => {
  const sealed = createCipher([key('k1', 1)]).seal(PLAIN, IDENTITY)

  t.throws(() => createCipher([key('k1', 2)]).open(sealed, IDENTITY), {
    name: 'CipherError',
    message: `The value sealed for ${IDENTITY} cannot be opened with key k1`,
    cause: Error
  })
})

t.test('a text without a key id is refused without being repeated', async (t) => {
  const { open } = createCipher([key('k1', 1)])

  t.throws(() => open('plain-token-in-the-wrong-column', IDENTITY), CipherError)
  try {
    open('plain-token-in-the-wrong-column', IDENTITY)
  } catch (error) {
    t.notMatch(String(error), 'plain-token')
  }
})

t.test('the first key seals and all of them open', async (t) => {
  const old = createCipher([key('old', 1)]).seal(PLAIN, IDENTITY)

  const rotated = createCipher([key('new', 2), key('old', 1)])

  t.equal(rotated.open(old, IDENTITY), PLAIN)
  t.match(rotated.seal(PLAIN, IDENTITY), /^new\./)
  t.equal(rotated.sealingKeyId, 'new')
  t.strictSame(rotated.keyIds, ['new', 'old'])
})

t.test('the same text is never sealed twice with the same nonce', async (t) => {
  const { seal } = createCipher([key('k1', 1)])

  const nonces = Array.from({ length: 1_000 }, () => seal(PLAIN, IDENTITY).slice(3, 3 + 16))

  t.equal(new Set(nonces).size, 1_000)
})

t.test('there is no cipher without a key', async (t) => {
  t.throws(() => createCipher([]), { name: 'CipherError', message: 'VAULT_KEYS is empty' })
})

t.test('a derived key is the same for a purpose, and another for every purpose and key', async (t) => {
  const derived = deriveKey(key('k1', 1), 'install state')

  t.equal(derived.length, 32)
  t.strictSame(deriveKey(key('other id', 1), 'install state'), derived)
  t.notSame(deriveKey(key('k1', 1), 'install states'), derived)
  t.notSame(deriveKey(key('k1', 2), 'install state'), derived)
  t.notSame(derived, Buffer.alloc(32, 1))
})
