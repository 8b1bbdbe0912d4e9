import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto'

export interface VaultKey {
  id: string
  bytes: Buffer
}

/**
 * Why a sealed value could not be opened. The message names the key id, never the content. `unknown-key`: this process
 * lacks the key, another may have it. `damaged`: no process can open it.
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

/** Parses `id:base64(32 bytes)[,id2:…]`. The errors name a key by id or position, never by content. */
export function parseVaultKeys(text: string | undefined): { keys: VaultKey[]; errors: string[] } {
  const keys: VaultKey[] = []
  const errors: string[] = []
  for (const [index, entry] of (text?.split(',') ?? []).entries()) {
    const [, id, base64] = /^\s*([A-Za-z0-9_-]{1,32}):([A-Za-z0-9+/]+={0,2})\s*$/.exec(entry) ?? []
    const bytes = Buffer.from(base64 ?? '', 'base64')
    if (id === undefined) errors.push(`entry ${index + 1} must be id:base64`)
    else if (bytes.length !== 32) errors.push(`entry ${id} must decode to 32 bytes, but has ${bytes.length}`)
    else if (keys.some((key) => key.id === id)) errors.push(`names ${id} twice`)
    else keys.push({ id, bytes })
  }
  return { keys, errors }
}

/**
 * AES-256-GCM with named keys: the first key seals, every key opens. A sealed value is
 * `keyId.base64url(nonce | ciphertext | tag)`. `associatedData` (the row's table and key) is authenticated with it, so
 * that a value copied to another row does not open.
 */
export function createCipher(keys: readonly VaultKey[]) {
  const [sealingKey] = keys
  if (sealingKey === undefined) throw new CipherError('unknown-key', 'VAULT_KEYS is empty')
  const byId = new Map(keys.map((key) => [key.id, key.bytes]))

  return {
    keyIds: keys.map(({ id }) => id),
    sealingKeyId: sealingKey.id,

    seal(plaintext: string, associatedData: string): string {
      const nonce = randomBytes(NONCE_BYTES)
      const cipher = createCipheriv('aes-256-gcm', sealingKey.bytes, nonce, { authTagLength: TAG_BYTES })
      cipher.setAAD(Buffer.from(associatedData))
      const sealed = Buffer.concat([nonce, cipher.update(plaintext, 'utf8'), cipher.final(), cipher.getAuthTag()])
      return `${sealingKey.id}.${sealed.toString('base64url')}`
    },

    /** Throws CipherError if the key is not configured, or the value was modified or belongs to another row. */
    open(sealed: string, associatedData: string): string {
      const dot = sealed.indexOf('.')
      if (dot < 1) throw new CipherError('damaged', `The value stored for ${associatedData} is not sealed`)
      const keyId = sealed.slice(0, dot)
      const key = byId.get(keyId)
      if (key === undefined) throw new CipherError('unknown-key', `VAULT_KEYS lacks the key ${keyId}`)

      const bytes = Buffer.from(sealed.slice(dot + 1), 'base64url')
      try {
        const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, NONCE_BYTES), {
          authTagLength: TAG_BYTES
        })
        decipher.setAAD(Buffer.from(associatedData))
        decipher.setAuthTag(bytes.subarray(-TAG_BYTES))
        return decipher.update(bytes.subarray(NONCE_BYTES, -TAG_BYTES), undefined, 'utf8') + decipher.final('utf8')
      } catch (cause) {
        throw new CipherError('damaged', `The value sealed for ${associatedData} cannot be opened with key ${keyId}`, {
          cause
        })
      }
    }
  }
}

export type Cipher = ReturnType<typeof createCipher>

/** Derives a key for one purpose from a vault key, so that no two uses share a key (HKDF, RFC 5869). */
export const deriveKey = (key: VaultKey, purpose: string): Buffer =>
  Buffer.from(hkdfSync('sha256', key.bytes, '', `records-gateway ${purpose}`, 32))
