import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import { deriveKey, type VaultKey } from '../grants/vault/cipher.ts'
import type { Clock } from '../shared/clock.ts'

/** Long enough to log in and choose a location; short enough that a link in a browser history is useless. */
const LIFETIME_MS = 15 * 60_000

/**
 * Issues and checks the OAuth `state` of an install: `expiry.nonce.signature`. It is signed and not stored, so that any
 * replica can check what another one issued. Signatures of every configured vault key are valid, so that a key rotation
 * does not break installs in progress.
 */
export function createStateSigner(keys: readonly VaultKey[], clock: Clock) {
  const signingKeys = keys.map((key) => deriveKey(key, 'install state'))
  const sign = (key: Buffer, payload: string) => createHmac('sha256', key).update(payload).digest('base64url')

  return {
    issue(): string {
      const payload = `${(clock.now() + LIFETIME_MS).toString(36)}.${randomBytes(12).toString('base64url')}`
      const [key] = signingKeys
      if (key === undefined) throw new Error('There is no key to sign with')
      return `${payload}.${sign(key, payload)}`
    },

    /** Whether a gateway with these keys issued the state, and it has not expired. */
    isValid(state: string): boolean {
      const [expiry = '', nonce = '', signature = '', ...rest] = state.split('.')
      // Compared as text: a base64url decoder accepts several spellings of the same bytes.
      const given = Buffer.from(signature)
      const isSigned = signingKeys.some((key) => {
        const expected = Buffer.from(sign(key, `${expiry}.${nonce}`))
        return given.length === expected.length && timingSafeEqual(given, expected)
      })
      return rest.length === 0 && isSigned && clock.now() < Number.parseInt(expiry, 36)
    }
  }
}

export type StateSigner = ReturnType<typeof createStateSigner>
