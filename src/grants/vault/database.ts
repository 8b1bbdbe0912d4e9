import type { Dialect, Kysely } from 'kysely'
import type { Tables } from './tables.ts'

/** What a connection is for: bringing the tables up to date, a server's calls, or one command of the command line. */
export type Purpose = 'setup' | 'serving' | 'command'

/** What differs between the databases. */
export interface Database {
  dialect: Dialect
  /** Whether `for update skip locked` exists. Where one writer at a time writes, there is nothing to skip. */
  skipsLocked: boolean
  /** Where the tables are changed in one transaction: takes the lock of it. Else the dialect locks by itself. */
  lockTables?: (transaction: Kysely<Tables>) => Promise<void>
  /** Throws where what was opened is not there any more. */
  verify?: () => void
  /** Runs one statement, again where the database asks for that, or where it was a read that broke off. */
  attempt<Value>(work: () => Promise<Value>, isRead?: boolean): Promise<Value>
}
