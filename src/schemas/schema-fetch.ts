import { Problem } from '../problems/problem.ts'
import type { Clock } from '../shared/clock.ts'
import { waitAtMost } from '../shared/timeout.ts'

/**
 * The longest that a call waits for a fetch that is on the wire: this long, and no more than this share of the call's
 * remaining time. A write without a schema is sent unchecked.
 */
const MAX_WAIT_MS = 5_000
const MAX_WAIT_SHARE = 0.5
/** How often waiting calls look whether the fetch is on the wire yet. */
const POLL_MS = 20

/** One fetch of an object, shared by all calls that need it. */
export interface SchemaFetch {
  /** Settles when the fetch has ended. */
  done: Promise<void>
  /** It went on the wire. */
  isSent: boolean
  /** When it was first seen on the wire, on the monotonic clock. */
  sentAt: number | undefined
  isDone: boolean
  /** The error that HighLevel answered. */
  refusal: Problem | undefined
  /** The object changed while it was being fetched. */
  isOutdated: boolean
}

export const createSchemaFetch = (): SchemaFetch => ({
  done: Promise.resolve(),
  isSent: false,
  sentAt: undefined,
  isDone: false,
  refusal: undefined,
  isOutdated: false
})

const deadlineExceeded = () =>
  new Problem('deadline-exceeded', 'The deadline passed before the schema of the object could be requested')

/**
 * Resolves once the fetch is on the wire, and rejects with a Problem at the deadline: where the quota has no room for
 * the fetch, it has none for the write either.
 */
async function waitUntilSent(clock: Clock, schemaFetch: SchemaFetch, deadlineAt: number): Promise<void> {
  while (!schemaFetch.isDone && !schemaFetch.isSent) {
    const leftMs = deadlineAt - clock.monotonic()
    if (leftMs <= 0) throw deadlineExceeded()
    await waitAtMost(clock, Math.min(leftMs, POLL_MS), () => schemaFetch.done)
  }
  schemaFetch.sentAt ??= clock.monotonic()
}

/**
 * Waits until the fetch has ended, or for as long as the call can afford. A fetch that has been on the wire for too
 * long already is not waited for.
 */
export async function waitForFetch(clock: Clock, schemaFetch: SchemaFetch, deadlineAt: number): Promise<void> {
  await waitUntilSent(clock, schemaFetch, deadlineAt)
  const at = clock.monotonic()
  const maxWaitMs = Math.min((schemaFetch.sentAt ?? at) + MAX_WAIT_MS - at, (deadlineAt - at) * MAX_WAIT_SHARE)
  await waitAtMost(clock, Math.max(0, maxWaitMs), () => schemaFetch.done)
}
