import { type Call, createCallRecord, type LocationCall } from '../../src/highlevel/call.ts'
import { createWriteState } from '../../src/highlevel/write-outcome.ts'
import { type Clock, systemClock } from '../../src/shared/clock.ts'

/** A call that is not sent yet. */
export const createCall = (method: Call['method'], deadlineMs = 5_000, clock: Clock = systemClock): Call => ({
  method,
  path: '/',
  deadlineAt: clock.monotonic() + deadlineMs,
  callRecord: createCallRecord(),
  write: createWriteState(),
  isSent: false
})

/** The same for a location, from a caller that never hangs up. */
export const createLocationCall = (
  method: Call['method'],
  locationId = 'location',
  deadlineMs = 5_000,
  clock: Clock = systemClock
): LocationCall => ({
  ...createCall(method, deadlineMs, clock),
  locationId,
  isProbe: false,
  isRepeat: false,
  isBackground: false,
  caller: { id: 'caller', response: { destroyed: false, once: () => undefined, off: () => undefined } }
})
