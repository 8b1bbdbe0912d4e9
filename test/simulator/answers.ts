import { STATUS_CODES } from 'node:http'

/** What a route answers. The trace id is added when it is sent. */
export interface Answer {
  status: number
  body: Record<string, unknown>
  headers?: Record<string, string>
}

/** Thrown anywhere below a route: HighLevel refuses the request with this answer. */
export class Refusal extends Error {
  readonly answer: Answer

  constructor(status: number, body: Record<string, unknown>) {
    super(`HighLevel refuses with ${status}`)
    this.answer = { status, body }
  }
}

/** The two members that HighLevel's guards (version, token, scope, location, limit) answer with. */
export const guardRefusal = (status: number, message: string) => new Refusal(status, { statusCode: status, message })

/** A refused request: `message` is a string, or an array where the validation of the DTO speaks. */
export const requestRefusal = (status: number, message: string | string[]) =>
  new Refusal(status, { message, error: STATUS_CODES[status], statusCode: status })

/** Runs a route to its answer, a refusal included. Any other error is a fault of the simulator and passes. */
export function catchRefusal(act: () => Answer): Answer {
  try {
    return act()
  } catch (error) {
    if (error instanceof Refusal) return error.answer
    throw error
  }
}
