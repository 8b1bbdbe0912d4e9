import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { createBreaker } from '../../../src/highlevel/breaker/guard.ts'
import { createInFlight, SILENCE_MS } from '../../../src/highlevel/breaker/in-flight.ts'
import { createBreakerStats } from '../../../src/highlevel/breaker/stats.ts'
import type { Answer, LocationCall } from '../../../src/highlevel/call.ts'
import { Problem } from '../../../src/problems/problem.ts'
import { createLocationCall } from '../calls.ts'

const log = { warn: () => undefined, info: () => undefined }
const ok: Answer = { status: 200, headers: {}, body: Buffer.alloc(0) }
const call = (locationId: string, isProbe = false): LocationCall => ({
  ...createLocationCall('PUT', locationId, 60_000),
  isProbe
})
const broken = () => new Problem('upstream-failed', 'The connection broke')

/** A breaker whose circuit is open for all. */
function openCircuit() {
  const breaker = createBreaker({ log })
  for (let n = 0; n < 10; n += 1) {
    const one = call(`location${n % 2}`)
    breaker.begin(one)
    breaker.end(one, broken(), performance.now())
  }
  return breaker
}

t.test('an open circuit lets a probe through every second, however many calls come meanwhile', async (t) => {
  const breaker = createBreaker({ log })
  let sent = 0
  const ask = breaker.guard(async (one) => {
    const refusal = breaker.begin(one)
    if (refusal) throw refusal
    sent += 1
    const error = broken()
    breaker.end(one, error, performance.now())
    throw error
  })
  for (let n = 0; n < 10; n += 1) await ask(call(`location${n % 2}`)).catch(() => undefined)
  t.ok(breaker.state().isOpen)
  sent = 0

  for (let n = 0; n < 100; n += 1) {
    await t.rejects(ask(call('location3')), { name: 'Problem' })
    await sleep(25)
  }

  t.ok(sent >= 2 && sent <= 3, `${sent} probes in 2.5 s`)
})

t.test('a probe that is never sent leaves its turn to the next call', async (t) => {
  const breaker = openCircuit()
  const ask = breaker.guard(async (one) => {
    if (one.locationId === 'exhausted') throw new Problem('location-daily-exhausted', 'No calls are left today')
    one.isSent = true
    breaker.begin(one)
    breaker.end(one, ok, performance.now())
    return ok
  })
  await sleep(1_010)

  await t.rejects(ask(call('exhausted')), { code: 'location-daily-exhausted' })

  t.equal((await ask(call('healthy'))).status, 200)
  t.notOk(breaker.state().isOpen)
})

t.test('an answer closes the circuit for all', async (t) => {
  const breaker = openCircuit()
  t.match(breaker.begin(call('location1')), { code: 'upstream-unavailable', extras: { retryAfterSeconds: 1 } })

  const probe = call('location1', true)
  t.equal(breaker.begin(probe), undefined)
  breaker.end(probe, ok, performance.now())

  t.equal(breaker.begin(call('location2')), undefined)
  t.end()
})

t.test('silence is that of HighLevel where several locations meet it, else of the location alone', (t) => {
  const underWay = createInFlight()
  const later = performance.now() + SILENCE_MS + 50
  for (let n = 0; n < 12; n += 1) underWay.begin('hanging')

  t.equal(underWay.silence('other', later), undefined)
  t.equal(underWay.silence('hanging', later), 'location')
  underWay.begin('healthy')
  underWay.end('healthy', true, later)
  underWay.begin('healthy')
  t.equal(underWay.silence('healthy', later + 10), undefined)
  t.equal(underWay.silence('hanging', later + 10), 'location')
  t.equal(underWay.silence('healthy', later + 2 * SILENCE_MS), 'upstream')
  t.end()
})

t.test('an old call among many that have just begun is no silence', async (t) => {
  const underWay = createInFlight()
  for (const slow of ['a', 'b']) underWay.begin(slow)
  await sleep(SILENCE_MS + 20)
  for (let n = 0; n < 20; n += 1) underWay.begin(`location${n}`)
  for (let n = 0; n < 20; n += 1) underWay.begin('a')
  const at = performance.now()

  t.equal(underWay.silence('location1', at), undefined)
  t.equal(underWay.silence('a', at), undefined)
  t.equal(underWay.silence('a', at + SILENCE_MS), 'upstream')
})

t.test('few calls that wait are no silence', (t) => {
  const underWay = createInFlight()
  for (let n = 0; n < 9; n += 1) underWay.begin(`location${n}`)

  t.equal(underWay.silence('location1', performance.now() + 60_000), undefined)
  t.end()
})

t.test('what most locations meet counts, however many calls a single one makes', (t) => {
  const evidence = createBreakerStats()
  const failures = (locationId: string, count: number) =>
    Array.from({ length: count }, () => evidence.failed(locationId, 'failed', 10)).at(-1)

  t.equal(failures('a', 21), undefined, 'one location’s 500s, however many')
  t.equal(failures('b', 1), 'upstream', 'all that call fare badly')
  for (let n = 0; n < 50; n += 1) evidence.succeeded('c', 30)
  t.equal(failures('b', 1), undefined, 'most calls go well')
  t.equal(evidence.failed('a', 'lost', 6_000), undefined, 'what was is forgotten')
  t.end()
})
