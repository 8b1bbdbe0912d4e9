import { createFaults } from './faults.ts'
import { createGrants } from './grants.ts'
import { createJournal } from './journal.ts'
import { createLocations } from './locations.ts'
import { createObjects } from './objects.ts'
import { createRateLimit } from './rate-limit.ts'
import { createRecords } from './records.ts'
import { SEED, SEED_OBJECTS, SEED_RECORDS } from './seed.ts'
import type { Settings } from './settings.ts'
import { createWebhooks } from './webhooks.ts'
import type { WriteQuirkName } from './write-quirks.ts'

export type World = ReturnType<typeof createWorld>

/** The whole state of one simulator, filled with the seed. */
export function createWorld(settings: Settings) {
  const locations = createLocations()
  const objects = createObjects()
  const records = createRecords({ now: settings.recordNow, locationId: SEED.locationId })
  for (const schema of structuredClone(SEED_OBJECTS)) objects.put(schema)
  for (const { schemaKey, ...record } of structuredClone(SEED_RECORDS)) records.put(schemaKey, record)

  return {
    settings,
    locations,
    objects,
    records,
    grants: createGrants(settings, locations),
    webhooks: createWebhooks(settings),
    rateLimit: createRateLimit(settings),
    faults: createFaults(),
    /** The quirks that apply to every write. */
    writeQuirks: new Set<WriteQuirkName>(),
    journal: createJournal()
  }
}
