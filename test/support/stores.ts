import Database from 'better-sqlite3'
import pg from 'pg'
import type { Test } from 'tap'
import type { VaultKey } from '../../src/grants/vault/cipher.ts'
import { openVault } from '../../src/grants/vault/open.ts'
import { createClock, withWallTime } from './clock.ts'
import { type Scope, temporaryFolder } from './harness.ts'
import { NO_POSTGRES, postgresDatabase } from './postgres.ts'

export type StoreName = 'sqlite' | 'postgres'
export const STORES: readonly StoreName[] = ['sqlite', 'postgres']

export const key = (id: string, fill: number): VaultKey => ({ id, bytes: Buffer.alloc(32, fill) })

/** The URL of a new database of this kind, removed when the test ends; `undefined` if the kind is not available. */
export const storeUrl = async (t: Scope, name: StoreName): Promise<string | undefined> =>
  name === 'sqlite' ? `sqlite:${temporaryFolder(t)}/deep/gateway.db` : postgresDatabase(t)

/** Runs a statement on the database directly, without the vault. */
export async function sql(url: string, statement: string): Promise<Record<string, unknown>[]> {
  if (url.startsWith('sqlite:')) {
    const database = new Database(url.slice('sqlite:'.length))
    try {
      const prepared = database.prepare(statement)
      if (prepared.reader) return prepared.all() as Record<string, unknown>[]
      prepared.run()
      return []
    } finally {
      database.close()
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
export async function openStore(t: Test, name: StoreName) {
  const url = await storeUrl(t, name)
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

export type Store = NonNullable<Awaited<ReturnType<typeof openStore>>>

/** Runs a test on each kind of database. Skipped with a message if a kind is not available. */
export function onEachStore(t: Test, guarantee: string, run: (t: Test, store: Store) => Promise<void>): void {
  for (const name of STORES) {
    t.test(`${guarantee} (${name})`, async (t) => {
      const store = await openStore(t, name)
      if (store === undefined) t.pass('not run', { skip: NO_POSTGRES })
      else await run(t, store)
    })
  }
}
