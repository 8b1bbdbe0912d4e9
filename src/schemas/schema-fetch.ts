import { createTrace, type Trace } from '../highlevel/call.ts'
import { Problem } from '../problems/problem.ts'
import { waitAtMost } from '../shared/timeout.ts'

/**
 * The longest that calls wait for one read once it is on the wire, and the share of a call's own time: without a schema
 * it is not checked, but it is sent.
 */
const PATIENCE_MS = 5_000
const PATIENCE_SHARE = 0.5
/** How often those who wait look whether the read is on the wire yet. */
const LOOK_EVERY_MS = 20

/** A read of an object that is under way, for all who want it. */
export interface SchemaFetch {
  landing: Promise<void>
  trace: Trace
  /** When it was seen to be on the wire, on the clock of `performance.now()`. */
  sentAt: number | undefined
  isOver: boolean
  /** What HighLevel answered in place of an object. */
  refusal: Problem | undefined
  /** The object changed while it was read. */
  isOutdated: boolean
}

export const createSchemaFetch = (): SchemaFetch => ({
  landing: Promise.resolve(),
  trace: createTrace(),
  sentAt: undefined,
  isOver: false,
  refusal: undefined,
  isOutdated: false
})

const late = () =>
  new Problem('deadline-exceeded', 'The time of the call ended while the read of its object waited to be sent')

/**
 * Resolves once the read is on the wire: where there is no quota for it, there is none for the write. Rejects with a
 * Problem at the deadline.
 */
async function sent(flight: SchemaFetch, deadlineAt: number): Promise<void> {
  while (!flight.isOver && flight.trace.attempts === 0) {
    const leftMs = deadlineAt - performance.now()
    if (leftMs <= 0) throw late()
    await waitAtMost(Math.min(leftMs, LOOK_EVERY_MS), () => flight.landing)
  }
  flight.sentAt ??= performance.now()
}

/** Waits for the read as long as a call can bear it, and not at all for one that takes too long already. */
export async function fetched(flight: SchemaFetch, deadlineAt: number): Promise<void> {
  await sent(flight, deadlineAt)
  const at = performance.now()
  const patienceMs = Math.min((flight.sentAt ?? at) + PATIENCE_MS - at, (deadlineAt - at) * PATIENCE_SHARE)
  await waitAtMost(Math.max(0, patienceMs), () => flight.landing)
}
