import { STATUS_CODES } from 'node:http'

/** The answer of a route. `sendAnswer` adds the trace id. */
export interface Answer {
  status: number
  body: Record<string, unknown>
  headers?: Record<string, string>
}

/** Thrown by the code of a route to reject the request with this answer. */
export class Refusal extends Error {
  readonly answer: Answer

  constructor(status: number, body: Record<string, unknown>) {
    super(`HighLevel rejects the request with ${status}`)
    this.answer = { status, body }
  }
}

/** A rejection by HighLevel's guards (version, token, scope, location, rate limit), which has these two members. */
export const guardRefusal = (status: number, message: string) => new Refusal(status, { statusCode: status, message })

/** A rejection of an invalid request. `message` is an array if it comes from the validation of the DTO. */
export const requestRefusal = (status: number, message: string | string[]) =>
  new Refusal(status, { message, error: STATUS_CODES[status], statusCode: status })

/** Runs `act` and turns a Refusal into its answer. Rethrows any other error, which is a bug in the simulator. */
export function catchRefusal(act: () => Answer): Answer {
  try {
    return act()
  } catch (error) {
    if (error instanceof Refusal) return error.answer
    throw error
  }
}
