import t from 'tap'
import { createBreaker } from '../../../src/highlevel/breaker/breaker.ts'
import { createBreakerStats } from '../../../src/highlevel/breaker/failure-stats.ts'
import { createInFlight, SILENCE_MS } from '../../../src/highlevel/breaker/in-flight.ts'
import type { Answer, LocationCall } from '../../../src/highlevel/call.ts'
import { Problem } from '../../../src/problems/problem.ts'
import { createClock } from '../../support/clock.ts'
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
  const clock = createClock()
  const breaker = createBreaker({ clock, log })
  for (let n = 0; n < 10; n += 1) {
    const one = call(`location${n % 2}`)
    breaker.begin(one)
    breaker.end(one, broken(), clock.monotonic())
  }
  return { clock, breaker }
}

t.test('an open circuit lets one probe through every second, however many calls come meanwhile', async (t) => {
  const clock = createClock()
  const breaker = createBreaker({ clock, log })
  let sent = 0
  const ask = breaker.guard(async (one) => {
    const refusal = breaker.begin(one)
    if (refusal) throw refusal
    sent += 1
    const error = broken()
    breaker.end(one, error, clock.monotonic())
    throw error
  })
  for (let n = 0; n < 10; n += 1) await ask(call(`location${n % 2}`)).catch(() => undefined)
  t.ok(breaker.state().isOpen)
  sent = 0

  for (let n = 0; n < 100; n += 1) {
    await t.rejects(ask(call('location3')), { name: 'Problem' })
    clock.move(25)
  }

  t.equal(sent, 2, 'probes in 2.5 s')
})

t.test('when a probe is never sent, the next call is a probe at once', async (t) => {
  const { clock, breaker } = openCircuit()
  const ask = breaker.guard(async (one) => {
    if (one.locationId === 'exhausted') throw new Problem('location-daily-exhausted', 'No calls are left today')
    one.isSent = true
    breaker.begin(one)
    breaker.end(one, ok, clock.monotonic())
    return ok
  })
  clock.move(1_000)

  await t.rejects(ask(call('exhausted')), { code: 'location-daily-exhausted' })

  t.equal((await ask(call('healthy'))).status, 200)
  t.notOk(breaker.state().isOpen)
})

t.test('an answer closes the circuit for all', async (t) => {
  const { clock, breaker } = openCircuit()
  t.match(breaker.begin(call('location1')), { code: 'upstream-unavailable', extras: { retryAfterSeconds: 1 } })

  const probe = call('location1', true)
  t.equal(breaker.begin(probe), undefined)
  breaker.end(probe, ok, clock.monotonic())

  t.equal(breaker.begin(call('location2')), undefined)
  t.end()
})

t.test('silence counts for all locations when several meet it, else for the location alone', (t) => {
  const clock = createClock()
  const inFlight = createInFlight(clock)
  const later = clock.monotonic() + SILENCE_MS + 50
  for (let n = 0; n < 12; n += 1) inFlight.begin('hanging')

  t.equal(inFlight.silence('other', later), undefined)
  t.equal(inFlight.silence('hanging', later), 'location')
  inFlight.begin('healthy')
  inFlight.end('healthy', true, later)
  inFlight.begin('healthy')
  t.equal(inFlight.silence('healthy', later + 10), undefined)
  t.equal(inFlight.silence('hanging', later + 10), 'location')
  t.equal(inFlight.silence('healthy', later + 2 * SILENCE_MS), 'upstream')
  t.end()
})

t.test('one old call among many new ones is not silence', async (t) => {
  const clock = createClock()
  const inFlight = createInFlight(clock)
  for (const slow of ['a', 'b']) inFlight.begin(slow)
  clock.move(SILENCE_MS + 20)
  for (let n = 0; n < 20; n += 1) inFlight.begin(`location${n}`)
  for (let n = 0; n < 20; n += 1) inFlight.begin('a')
  const at = clock.monotonic()

  t.equal(inFlight.silence('location1', at), undefined)
  t.equal(inFlight.silence('a', at), undefined)
  t.equal(inFlight.silence('a', at + SILENCE_MS), 'upstream')
})

t.test('a few calls that wait are not silence', (t) => {
  const clock = createClock()
  const inFlight = createInFlight(clock)
  for (let n = 0; n < 9; n += 1) inFlight.begin(`location${n}`)

  t.equal(inFlight.silence('location1', clock.monotonic() + 60_000), undefined)
  t.end()
})

t.test('the failures of most locations count, however many calls a single one makes', (t) => {
  const stats = createBreakerStats()
  const failures = (locationId: string, count: number) =>
    Array.from({ length: count }, () => stats.failed(locationId, 'failed', 10)).at(-1)

  t.equal(failures('a', 21), undefined, 'one location’s 500s, however many')
  t.equal(failures('b', 1), 'upstream', 'every calling location fails')
  for (let n = 0; n < 50; n += 1) stats.succeeded('c', 30)
  t.equal(failures('b', 1), undefined, 'most calls succeed')
  t.equal(stats.failed('a', 'lost', 6_000), undefined, 'older failures no longer count')
  t.end()
})
