import type { Migration } from 'kysely/migration'
import { grantsAndKeys } from './001-grants-and-keys.ts'
import { leasesAndWebhooks } from './002-leases-and-webhooks.ts'
import { installsAndUninstalls } from './003-installs-and-uninstalls.ts'

/** Applied in the order of their names. A migration that has been released is never changed. */
export const migrations: Record<string, Migration> = {
  '001-grants-and-keys': grantsAndKeys,
  '002-leases-and-webhooks': leasesAndWebhooks,
  '003-installs-and-uninstalls': installsAndUninstalls
}
