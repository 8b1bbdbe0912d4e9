import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import { deriveKey, type VaultKey } from '../grants/vault/cipher.ts'

/** Long enough to log in and choose a location, short enough that a link in a history is worth nothing. */
const LIFE_MS = 15 * 60_000

/**
 * The `state` of an install: `expiry.nonce.signature`. Signed, not stored, so that any replica can check what another
 * one issued; every configured vault key verifies, so that a key rotation breaks no install under way.
 */
export function createStates(keys: readonly VaultKey[], now: () => number) {
  const signers = keys.map((key) => deriveKey(key, 'install state'))
  const sign = (key: Buffer, text: string) => createHmac('sha256', key).update(text).digest('base64url')

  return {
    issue(): string {
      const text = `${(now() + LIFE_MS).toString(36)}.${randomBytes(12).toString('base64url')}`
      const [key] = signers
      if (key === undefined) throw new Error('No key to sign with')
      return `${text}.${sign(key, text)}`
    },

    /** Whether this gateway issued the state and its time has not passed. */
    isValid(state: string): boolean {
      const [expiry = '', nonce = '', signature = '', ...rest] = state.split('.')
      // As text: a decoder would take other characters for the same bytes.
      const given = Buffer.from(signature)
      const signed = signers.some((key) => {
        const expected = Buffer.from(sign(key, `${expiry}.${nonce}`))
        return given.length === expected.length && timingSafeEqual(given, expected)
      })
      return rest.length === 0 && signed && now() < Number.parseInt(expiry, 36)
    }
  }
}

export type States = ReturnType<typeof createStates>
