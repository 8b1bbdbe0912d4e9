import { Kysely } from 'kysely'
import type { BaseLogger } from 'pino'
import { type Cipher, CipherError, createCipher, type VaultKey } from './cipher.ts'
import type { Database, Purpose } from './database.ts'
import { createGrantStore } from './grants.ts'
import { createGrantInstalls, createInstallReads } from './installs.ts'
import { createKeyStore } from './keys.ts'
import { createGrantLeases } from './leases.ts'
import { migrate, SchemaError } from './migrate.ts'
import { OpenError } from './open-error.ts'
import type { Tables } from './tables.ts'
import { createTokenStatus } from './token-status.ts'
import { createGrantUninstalls } from './uninstalls.ts'
import type { Vault } from './vault.ts'
import { createWebhookStore } from './webhooks.ts'

/** Throws CipherError, naming the key ids, where VAULT_KEYS cannot open every row that the vault holds. */
async function proveKeys(db: Kysely<Tables>, cipher: Cipher) {
  const inUse = await db.selectFrom('grants').select('key_id').distinct().where('key_id', 'is not', null).execute()
  const missing = inUse.filter(({ key_id }) => key_id !== null && !cipher.keyIds.includes(key_id))
  if (missing.length > 0) {
    throw new CipherError(
      'unknown-key',
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
  /** Default `serving`. */
  purpose?: Purpose
  log?: Pick<BaseLogger, 'debug'>
}

/** The drivers are loaded where they are used: each costs a good part of the time to start. */
async function open(url: string, purpose: Purpose, log?: Pick<BaseLogger, 'debug'>): Promise<Database> {
  if (url.startsWith('sqlite:')) {
    const { openSqlite } = await import('./sqlite.ts')
    return openSqlite(url.slice('sqlite:'.length), purpose)
  }
  const { openPostgres } = await import('./postgres.ts')
  return openPostgres(url, purpose, log)
}

async function prepare(url: string, cipher: Cipher, log: Options['log']): Promise<void> {
  const database = await open(url, 'setup', log)
  const setup = new Kysely<Tables>({ dialect: database.dialect })
  try {
    await database.attempt(() => migrate(setup, database.lockTables))
    await database.attempt(() => proveKeys(setup, cipher))
  } finally {
    await setup.destroy()
  }
}

/**
 * Opens the store named by `DATABASE_URL`, brings its tables up to date, proves the keys and that calls can be
 * served. Throws CipherError for a
 * key that is missing or wrong, SchemaError for tables that this release cannot work with, OpenError else.
 */
export async function openVault(
  url: string,
  keys: readonly VaultKey[],
  { now = Date.now, purpose = 'serving', log }: Options = {}
): Promise<Vault> {
  const cipher = createCipher(keys)
  const refuse = (error: unknown) => {
    throw error instanceof CipherError || error instanceof SchemaError ? error : new OpenError(url, error)
  }
  await prepare(url, cipher, log).catch(refuse)

  const database = await open(url, purpose, log)
  const db = new Kysely<Tables>({ dialect: database.dialect })
  const vault: Omit<Vault, 'close'> = {
    ...createGrantStore(db, cipher),
    ...createGrantLeases(db, cipher, database.skipsLocked),
    ...createGrantInstalls(db, cipher),
    ...createInstallReads(db),
    ...createGrantUninstalls(db),
    ...createTokenStatus(db),
    ...createKeyStore(db, now),
    ...createWebhookStore(db, now),
    ping: async () => void (await db.selectFrom('grants').select('subject').limit(1).execute()),
    // Changes nothing, and is refused where nothing can be changed.
    assertWritable: async () => void (await db.updateTable('vault_keys').set({ id: '' }).where('id', '=', '').execute())
  }
  const opened = { ...eachAttempted(vault, database), close: () => db.destroy() }
  // What could be prepared on one connection need not be open to those that serve.
  await opened.ping().catch((error: unknown) => opened.close().then(() => refuse(error)))
  return opened
}

const reads = new Set<string>([
  'loadGrant',
  'findGrant',
  'findInstall',
  'listCompanies',
  'listLocations',
  'countGrants',
  'findKey',
  'listKeys',
  'hasWebhook',
  'ping'
] satisfies (keyof Vault)[])

/** What is not begun where the store is not there any more. */
const beginnings = new Set<string>([
  'claimGrant',
  'claimDue',
  'claimUnknownOutcome',
  'ping',
  'assertWritable'
] satisfies (keyof Vault)[])

/** The same methods, each run by `attempt`. */
function eachAttempted<Store extends object>(store: Store, { attempt, verify }: Database): Store {
  const wrap = (name: string, method: (...args: unknown[]) => Promise<unknown>) => {
    const isRead = reads.has(name)
    const begins = beginnings.has(name)
    return (...args: unknown[]) =>
      attempt(async () => {
        if (begins) verify?.()
        return await method(...args)
      }, isRead)
  }
  return Object.fromEntries(Object.entries(store).map(([name, method]) => [name, wrap(name, method)])) as Store
}
