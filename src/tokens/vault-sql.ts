import { mkdirSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import Database from 'better-sqlite3'
import { Kysely, SqliteDialect } from 'kysely'
import { Migrator } from 'kysely/migration'
import { type Cipher, CipherError, createCipher, type VaultKey } from './cipher.ts'
import { migrations } from './migrations/index.ts'
import type { Vault } from './vault.ts'
import { createGrantStore } from './vault-grants.ts'
import { createKeyStore } from './vault-keys.ts'
import type { Tables } from './vault-schema.ts'

/** How long a write waits for another process's. The wait blocks the whole process: a server has next to none of it to spend. */
const BUSY_TIMEOUT_MS = { opening: 5_000, serving: 5 }

const MIGRATION_ATTEMPTS = 6
const MIGRATION_PAUSE_MS = 50

function openSqlite(path: string): Database.Database {
  const file = resolve(path)
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 })
  const database = new Database(file, { timeout: BUSY_TIMEOUT_MS.opening })
  database.pragma('journal_mode = WAL')
  // A grant that is saved must outlive a power cut: WAL with the default of NORMAL may lose the last commits.
  database.pragma('synchronous = FULL')
  return database
}

async function migrate(db: Kysely<Tables>) {
  const migrator = new Migrator({ db, provider: { getMigrations: async () => migrations } })
  for (let attempt = 1; ; attempt += 1) {
    const { error } = await migrator.migrateToLatest()
    if (error === undefined) return
    // Processes that start together on a new SQLite file meet here, as kysely has no lock for it: one of them is
    // ahead, and the others find its work done when they look again.
    if (attempt === MIGRATION_ATTEMPTS) throw error
    await sleep(MIGRATION_PAUSE_MS * attempt)
  }
}

/** Throws CipherError, naming the key ids, where VAULT_KEYS cannot open every row that the vault holds. */
async function proveKeys(db: Kysely<Tables>, cipher: Cipher) {
  const inUse = await db.selectFrom('grants').select('key_id').distinct().where('key_id', 'is not', null).execute()
  const missing = inUse.filter(({ key_id }) => key_id !== null && !cipher.keyIds.includes(key_id))
  if (missing.length > 0) {
    throw new CipherError(
      `VAULT_KEYS lacks ${missing.map(({ key_id }) => key_id).join(', ')}: grants are sealed under it`
    )
  }

  const identity = (id: string) => `vault_keys:${id}`
  const proofs = await db
    .selectFrom('vault_keys')
    .selectAll()
    .where('id', 'in', [...cipher.keyIds])
    .execute()
  for (const { id, sealed } of proofs) cipher.open(sealed, identity(id))
  const id = cipher.sealingKeyId
  const proof = { id, sealed: cipher.seal('records-gateway', identity(id)) }
  await db
    .insertInto('vault_keys')
    .values(proof)
    .onConflict((conflict) => conflict.doNothing())
    .execute()
}

interface Options {
  now?: () => number
  /** For a process with nothing else to do: it waits for other writers. A server is told at once, and tries again later. */
  patient?: boolean
}

/**
 * Opens the store named by `DATABASE_URL`, brings its tables up to date and proves the keys.
 * Throws CipherError for a key that is missing or wrong, else the driver's error.
 */
export async function openVault(
  url: string,
  keys: readonly VaultKey[],
  { now = Date.now, patient = false }: Options = {}
): Promise<Vault> {
  const cipher = createCipher(keys)
  const database = openSqlite(url.slice('sqlite:'.length))
  const db = new Kysely<Tables>({ dialect: new SqliteDialect({ database }) })
  try {
    await migrate(db)
    await proveKeys(db, cipher)
    if (!patient) database.pragma(`busy_timeout = ${BUSY_TIMEOUT_MS.serving}`)
  } catch (error) {
    await db.destroy()
    throw error
  }

  return {
    ...createGrantStore(db, cipher, now),
    ...createKeyStore(db, now),
    ping: async () => void (await db.selectFrom('grants').select('subject').limit(1).execute()),
    close: () => db.destroy()
  }
}
