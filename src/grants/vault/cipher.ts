import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto'

export interface VaultKey {
  id: string
  bytes: Buffer
}

/**
 * Why something sealed could not be opened. The message names the key id, never the content. `unknown-key`: another
 * process may well open it; `damaged`: nobody can.
 */
export class CipherError extends Error {
  override readonly name = 'CipherError'
  readonly kind: 'unknown-key' | 'damaged'

  constructor(kind: CipherError['kind'], message: string, options?: ErrorOptions) {
    super(message, options)
    this.kind = kind
  }
}

const NONCE_BYTES = 12
const TAG_BYTES = 16

/** Reads `id:base64(32 bytes)[,id2:…]`. The faults name a key by id or position, never by content. */
export function parseVaultKeys(text: string | undefined): { keys: VaultKey[]; faults: string[] } {
  const keys: VaultKey[] = []
  const faults: string[] = []
  for (const [index, part] of (text?.split(',') ?? []).entries()) {
    const [, id, base64] = /^\s*([A-Za-z0-9_-]{1,32}):([A-Za-z0-9+/]+={0,2})\s*$/.exec(part) ?? []
    const bytes = Buffer.from(base64 ?? '', 'base64')
    if (id === undefined) faults.push(`entry ${index + 1} must be id:base64`)
    else if (bytes.length !== 32) faults.push(`entry ${id} must hold 32 bytes in base64, it holds ${bytes.length}`)
    else if (keys.some((key) => key.id === id)) faults.push(`names ${id} twice`)
    else keys.push({ id, bytes })
  }
  return { keys, faults }
}

/**
 * AES-256-GCM under named keys: the first seals, all open. Sealed text is `keyId.base64url(nonce | ciphertext | tag)`.
 * `identity` (the table and key of the row) is authenticated with it, so that a text moved to another row does not open.
 */
export function createCipher(keys: readonly VaultKey[]) {
  const [first] = keys
  if (first === undefined) throw new CipherError('unknown-key', 'No key: VAULT_KEYS is empty')
  const byId = new Map(keys.map((key) => [key.id, key.bytes]))

  return {
    keyIds: keys.map(({ id }) => id),
    sealingKeyId: first.id,

    seal(plain: string, identity: string): string {
      const nonce = randomBytes(NONCE_BYTES)
      const cipher = createCipheriv('aes-256-gcm', first.bytes, nonce, { authTagLength: TAG_BYTES })
      cipher.setAAD(Buffer.from(identity))
      const sealed = Buffer.concat([nonce, cipher.update(plain, 'utf8'), cipher.final(), cipher.getAuthTag()])
      return `${first.id}.${sealed.toString('base64url')}`
    },

    /** Throws CipherError where the key is not configured, or the text was changed or belongs to another row. */
    open(text: string, identity: string): string {
      const dot = text.indexOf('.')
      if (dot < 1) throw new CipherError('damaged', `What stands for ${identity} was not sealed`)
      const keyId = text.slice(0, dot)
      const key = byId.get(keyId)
      if (key === undefined) throw new CipherError('unknown-key', `VAULT_KEYS lacks the key ${keyId}`)

      const sealed = Buffer.from(text.slice(dot + 1), 'base64url')
      try {
        const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, NONCE_BYTES), {
          authTagLength: TAG_BYTES
        })
        decipher.setAAD(Buffer.from(identity))
        decipher.setAuthTag(sealed.subarray(-TAG_BYTES))
        return decipher.update(sealed.subarray(NONCE_BYTES, -TAG_BYTES), undefined, 'utf8') + decipher.final('utf8')
      } catch (cause) {
        throw new CipherError('damaged', `What is sealed for ${identity} does not open under the key ${keyId}`, {
          cause
        })
      }
    }
  }
}

export type Cipher = ReturnType<typeof createCipher>

/** A key for one purpose made from a vault key, so that no two uses share a key (HKDF, RFC 5869). */
export const deriveKey = (key: VaultKey, purpose: string): Buffer =>
  Buffer.from(hkdfSync('sha256', key.bytes, '', `records-gateway ${purpose}`, 32))
