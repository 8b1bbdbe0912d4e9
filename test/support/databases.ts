import Database from 'better-sqlite3'
import pg from 'pg'
import type { Test } from 'tap'
import type { VaultKey } from '../../src/grants/vault/cipher.ts'
import { openVault } from '../../src/grants/vault/open.ts'
import { createClock, withWallTime } from './clock.ts'
import { type Scope, temporaryFolder } from './harness.ts'
import { NO_POSTGRES, postgresDatabase } from './postgres.ts'

export type DatabaseKind = 'sqlite' | 'postgres'
export const DATABASE_KINDS: readonly DatabaseKind[] = ['sqlite', 'postgres']

export const key = (id: string, fill: number): VaultKey => ({ id, bytes: Buffer.alloc(32, fill) })

/** The URL of a new database of this kind, removed when the test ends; `undefined` if the kind is not available. */
export const createDatabaseUrl = async (t: Scope, kind: DatabaseKind): Promise<string | undefined> =>
  kind === 'sqlite' ? `sqlite:${temporaryFolder(t)}/deep/gateway.db` : postgresDatabase(t)

/** Runs a statement on the database directly, without the vault. */
export async function sql(url: string, statement: string): Promise<Record<string, unknown>[]> {
  if (url.startsWith('sqlite:')) {
    const sqlite = new Database(url.slice('sqlite:'.length))
    try {
      const prepared = sqlite.prepare(statement)
      if (prepared.reader) return prepared.all() as Record<string, unknown>[]
      prepared.run()
      return []
    } finally {
      sqlite.close()
    }
  }
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    return (await client.query(statement)).rows as Record<string, unknown>[]
  } finally {
    await client.end()
  }
}

/** A new database on which a test can open vaults. They are closed when the test ends. */
export async function openTestDatabase(t: Test, kind: DatabaseKind) {
  const url = await createDatabaseUrl(t, kind)
  if (url === undefined) return undefined
  const clock = createClock()
  return {
    url,
    clock,
    async open(...keys: VaultKey[]) {
      const vault = await openVault(url, keys.length > 0 ? keys : [key('k1', 1)], { clock: withWallTime(clock.now) })
      t.teardown(() => vault.close())
      return vault
    },
    sql: (statement: string) => sql(url, statement)
  }
}

export type TestDatabase = NonNullable<Awaited<ReturnType<typeof openTestDatabase>>>

/** Runs a test on each kind of database. Skipped with a message if a kind is not available. */
export function onEachDatabase(t: Test, name: string, run: (t: Test, database: TestDatabase) => Promise<void>): void {
  for (const kind of DATABASE_KINDS) {
    t.test(`${name} (${kind})`, async (t) => {
      const database = await openTestDatabase(t, kind)
      if (database === undefined) t.pass('not run', { skip: NO_POSTGRES })
      else await run(t, database)
    })
  }
}
