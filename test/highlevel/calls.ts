import { type Call, createCallRecord, type LocationCall } from '../../src/highlevel/call.ts'
import { createWriteState } from '../../src/highlevel/write-outcome.ts'

/** A call that is not sent yet. */
export const createCall = (method: Call['method'], deadlineMs = 5_000): Call => ({
  method,
  path: '/',
  deadlineAt: performance.now() + deadlineMs,
  callRecord: createCallRecord(),
  write: createWriteState(),
  isSent: false
})

/** The same for a location, from a caller that never hangs up. */
export const createLocationCall = (
  method: Call['method'],
  locationId = 'location',
  deadlineMs = 5_000
): LocationCall => ({
  ...createCall(method, deadlineMs),
  locationId,
  isProbe: false,
  isRepeat: false,
  isBackground: false,
  caller: { id: 'caller', response: { destroyed: false, once: () => undefined, off: () => undefined } }
})
