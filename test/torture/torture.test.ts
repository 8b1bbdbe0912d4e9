import t from 'tap'
import { NO_POSTGRES, postgresDatabase } from '../support/postgres.ts'
import { planRounds } from './plan.ts'
import { torture } from './torture.ts'

const SIZE = { rounds: 120, gateways: 3, locations: 40 }
const SEED = 20_261_124

t.test('three processes lose no grant, whatever kills, stalls and faults they meet', async (t) => {
  if ((await postgresDatabase(t)) === undefined) return void t.pass('not run', { skip: NO_POSTGRES })

  const { violations, kills, renewals, outcomes } = await torture(t, SEED, SIZE, () => undefined)

  t.strictSame(violations, [])
  // Proves that the run did put grants at risk.
  t.ok(kills > 0 && renewals > 10, `${kills} kills, ${renewals} renewals`)
  t.ok((outcomes['200'] ?? 0) >= SIZE.locations, JSON.stringify(outcomes))
})

t.test('the same seed gives the same rounds, and another seed gives others', async (t) => {
  t.strictSame(planRounds(SEED, SIZE), planRounds(SEED, SIZE))
  t.notSame(planRounds(SEED + 1, SIZE), planRounds(SEED, SIZE))
})
