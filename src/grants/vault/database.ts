import type { Dialect, Kysely } from 'kysely'
import type { Tables } from './tables.ts'
import type { Vault } from './vault.ts'

/** What a connection is for: the migrations, a server's calls, or one command of the CLI. */
export type Purpose = 'setup' | 'serving' | 'command'

/** What differs between the databases. */
export interface Database {
  dialect: Dialect
  /** Whether `for update skip locked` exists. SQLite has one writer at a time, so there is nothing to skip. */
  skipsLocked: boolean
  /** Takes the lock for migrations that run in one transaction. Absent if the dialect takes a lock itself. */
  lockTables?: (transaction: Kysely<Tables>) => Promise<void>
  /** Throws if the database that was opened does not exist any more. */
  verify?: () => void
  /** Runs one statement. Repeats it if the database is busy, or if it is a read whose connection broke. */
  attempt<Value>(work: () => Promise<Value>, isRead?: boolean): Promise<Value>
}

/** The database cannot be opened. The message names it, without its password, and says why. */
export class OpenError extends Error {
  override readonly name = 'OpenError'

  constructor(url: string, cause: unknown) {
    super(`The database ${describe(url)} (DATABASE_URL) cannot be opened: ${reason(cause)}`, { cause })
  }
}

const describe = (url: string) => (url.startsWith('sqlite:') ? url : `at ${new URL(url).host}${new URL(url).pathname}`)

/** If a host name has several addresses, each one failed for its own reason. */
const reason = (cause: unknown): string =>
  cause instanceof AggregateError
    ? cause.errors.map(reason).join('; ')
    : cause instanceof Error
      ? cause.message
      : String(cause)

const READS = new Set<string>([
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

/** The methods with which new work begins: they must fail if the database does not exist any more. */
const VERIFIED_FIRST = new Set<string>([
  'claimGrant',
  'claimDue',
  'claimUnknownOutcome',
  'ping',
  'assertWritable'
] satisfies (keyof Vault)[])

/** The same methods, each run by `attempt`. */
export function withAttempts<Store extends object>(store: Store, { attempt, verify }: Database): Store {
  const wrap = (name: string, method: (...args: unknown[]) => Promise<unknown>) => {
    const isRead = READS.has(name)
    const isVerified = VERIFIED_FIRST.has(name)
    return (...args: unknown[]) =>
      attempt(async () => {
        if (isVerified) verify?.()
        return await method(...args)
      }, isRead)
  }
  return Object.fromEntries(Object.entries(store).map(([name, method]) => [name, wrap(name, method)])) as Store
}
