import { Kysely } from 'kysely'
import type { BaseLogger } from 'pino'
import { type Clock, systemClock } from '../../shared/clock.ts'
import { createApiKeyStore } from './api-keys.ts'
import { type Cipher, CipherError, createCipher, type VaultKey } from './cipher.ts'
import { type Database, OpenError, type Purpose, withAttempts } from './database.ts'
import { createGrantQueries } from './grants.ts'
import { createGrantInstalls } from './installs.ts'
import { createGrantLeases } from './leases.ts'
import { migrate, SchemaError } from './migrate.ts'
import { createRekey } from './rekey.ts'
import type { Tables } from './tables.ts'
import { createTokenStatus } from './token-status.ts'
import { createGrantUninstalls } from './uninstalls.ts'
import type { Vault } from './vault.ts'
import { createWebhookStore } from './webhooks.ts'

/**
 * Checks that VAULT_KEYS has every key in use, and that each key is the one that was used under its id. Throws
 * CipherError, naming the key ids.
 */
async function verifyKeys(db: Kysely<Tables>, cipher: Cipher) {
  const inUse = await db.selectFrom('grants').select('key_id').distinct().where('key_id', 'is not', null).execute()
  const missing = inUse.filter(({ key_id }) => key_id !== null && !cipher.keyIds.includes(key_id))
  if (missing.length > 0) {
    throw new CipherError(
      'unknown-key',
      `VAULT_KEYS lacks ${missing.map(({ key_id }) => key_id).join(', ')}: grants are sealed with it`
    )
  }

  const associatedData = (id: string) => `vault_keys:${id}`
  const samples = await db
    .selectFrom('vault_keys')
    .selectAll()
    .where('id', 'in', [...cipher.keyIds])
    .execute()
  for (const { id, sealed } of samples) cipher.open(sealed, associatedData(id))
  const id = cipher.sealingKeyId
  await db
    .insertInto('vault_keys')
    .values({ id, sealed: cipher.seal('records-gateway', associatedData(id)) })
    .onConflict((conflict) => conflict.doNothing())
    .execute()
}

interface Options {
  clock?: Clock
  /** Default `serving`. */
  purpose?: Purpose
  log?: Pick<BaseLogger, 'debug'>
}

/** Imports the driver only when it is used: each one costs a good part of the start-up time. */
async function openDatabase(url: string, purpose: Purpose, clock: Clock, log: Options['log']): Promise<Database> {
  if (url.startsWith('sqlite:')) {
    const { openSqlite } = await import('./sqlite.ts')
    return openSqlite(url.slice('sqlite:'.length), purpose, clock)
  }
  const { openPostgres } = await import('./postgres.ts')
  return openPostgres(url, purpose, log)
}

async function prepare(url: string, cipher: Cipher, clock: Clock, log: Options['log']): Promise<void> {
  const database = await openDatabase(url, 'setup', clock, log)
  const db = new Kysely<Tables>({ dialect: database.dialect })
  try {
    await database.attempt(() => migrate(db, database.lockTables))
    await database.attempt(() => verifyKeys(db, cipher))
  } finally {
    await db.destroy()
  }
}

/**
 * Opens the database named by `DATABASE_URL`: migrates its tables, verifies the vault keys and checks that it answers.
 * Throws CipherError for a missing or wrong key, SchemaError for tables that this release cannot use, OpenError for
 * anything else.
 */
export async function openVault(
  url: string,
  keys: readonly VaultKey[],
  { clock = systemClock, purpose = 'serving', log }: Options = {}
): Promise<Vault> {
  const cipher = createCipher(keys)
  const rethrow = (error: unknown) => {
    throw error instanceof CipherError || error instanceof SchemaError ? error : new OpenError(url, error)
  }
  await prepare(url, cipher, clock, log).catch(rethrow)

  const database = await openDatabase(url, purpose, clock, log)
  const db = new Kysely<Tables>({ dialect: database.dialect })
  const methods: Omit<Vault, 'close'> = {
    ...createGrantQueries(db, cipher),
    ...createGrantLeases(db, cipher, database.skipsLocked),
    ...createGrantInstalls(db, cipher),
    ...createGrantUninstalls(db),
    ...createTokenStatus(db),
    ...createRekey(db, cipher),
    ...createApiKeyStore(db, clock),
    ...createWebhookStore(db, clock),
    ping: async () => void (await db.selectFrom('grants').select('subject').limit(1).execute()),
    // Matches no row, and is still refused if the database is read-only.
    assertWritable: async () => void (await db.updateTable('vault_keys').set({ id: '' }).where('id', '=', '').execute())
  }
  const vault = { ...withAttempts(methods, database), close: () => db.destroy() }
  // The single connection of `prepare` succeeded, but the connections that serve may still fail.
  await vault.ping().catch((error: unknown) => vault.close().then(() => rethrow(error)))
  return vault
}
