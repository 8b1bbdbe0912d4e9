import { requestRefusal } from './answers.ts'
import { isObject } from './delta.ts'
import type { ReceivedRequest } from './journal.ts'

export const isJson = ({ headers }: ReceivedRequest): boolean =>
  headers['content-type']?.startsWith('application/json') ?? false

/** @throws Refusal 400 if the body is not a JSON object */
export function parseJson({ body }: ReceivedRequest): Record<string, unknown> {
  let parsed: unknown
  try {
    parsed = JSON.parse(body)
  } catch {
    throw requestRefusal(400, 'Unexpected token in JSON')
  }
  if (!isObject(parsed)) throw requestRefusal(400, 'Bad Request')
  return parsed
}
