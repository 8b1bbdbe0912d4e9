import type { Migration } from 'kysely/migration'
import { grantsAndKeys } from './001-grants-and-keys.ts'

/** Applied in the order of their names. A migration that has been released is never changed. */
export const migrations: Record<string, Migration> = {
  '001-grants-and-keys': grantsAndKeys
}
