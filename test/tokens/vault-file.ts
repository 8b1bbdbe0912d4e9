import Database from 'better-sqlite3'
import type { Test } from 'tap'
import type { VaultKey } from '../../src/tokens/cipher.ts'
import type { Grant } from '../../src/tokens/vault.ts'
import { openVault } from '../../src/tokens/vault-sql.ts'
import { createClock, temporaryFolder } from '../support/harness.ts'

export const key = (id: string, fill: number): VaultKey => ({ id, bytes: Buffer.alloc(32, fill) })

export const grant = (accessToken: string, changes: Partial<Grant> = {}): Omit<Grant, 'generation'> => ({
  subject: 'location:one',
  kind: 'oauth',
  companyId: 'company1',
  tokens: { accessToken, refreshToken: `${accessToken}-refresh`, expiresAt: 2_000, issuedAt: 1_000 },
  scopes: 'objects/record.write objects/record.readonly',
  state: 'connected',
  stateSince: 1_000,
  stateReason: null,
  ...changes
})

/** A file for a vault, opened as often as a test likes; what it opened is closed with the test. */
export function vaultFile(t: Test) {
  const clock = createClock()
  const path = `${temporaryFolder(t)}/deep/gateway.db`
  return {
    path,
    clock,
    async open(...keys: VaultKey[]) {
      const vault = await openVault(`sqlite:${path}`, keys.length > 0 ? keys : [key('k1', 1)], { now: clock.now })
      t.teardown(() => vault.close())
      return vault
    },
    /** A statement on the file itself, past the vault. */
    sql(statement: string): unknown[] {
      const database = new Database(path)
      try {
        const prepared = database.prepare(statement)
        if (prepared.reader) return prepared.all()
        prepared.run()
        return []
      } finally {
        database.close()
      }
    }
  }
}
