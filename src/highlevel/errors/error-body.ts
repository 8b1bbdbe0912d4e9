import { isObject } from '../../shared/json.ts'
import type { Answer } from '../call.ts'

/** What HighLevel's error body says. */
export interface UpstreamError {
  /** False when the body is neither JSON nor empty, such as the HTML of an edge server. */
  readable: boolean
  message?: string
  errorCode?: string
  /** The short key of the field that `errorCode` is about. */
  field?: string
  traceId?: string
}

/**
 * The longest text that is read: the patterns that search it take time quadratic in its length. It is more than
 * `withoutValues` searches, which has to notice that a text was cut.
 */
const MAX_CHARS = 2_500

const objectOf = (value: unknown): Record<string, unknown> => (isObject(value) ? value : {})

const textOf = (value: unknown): string | undefined =>
  typeof value === 'string' && value !== '' ? value.slice(0, MAX_CHARS) : undefined

/** A string, or the strings of a list. */
const joinedTextOf = (value: unknown): string | undefined =>
  Array.isArray(value) ? textOf(value.filter((part) => typeof part === 'string').join('; ')) : textOf(value)

/** Anything that does not look like a field key is not passed on to a caller. */
const fieldKeyOf = (value: unknown): string | undefined =>
  typeof value === 'string' && /^[\w.~/-]{1,128}$/.test(value) ? value : undefined

/** HighLevel's id of the exchange, if it looks like one. */
export const traceIdOf = ({ traceId }: { traceId?: unknown }): string | undefined =>
  typeof traceId === 'string' && /^[0-9a-f-]{8,64}$/i.test(traceId) ? traceId : undefined

/**
 * Reads `message` (a string or an array), `error_description`, or `error` (a string or an object). Each member is read
 * by itself: all are optional and have several shapes, and an unknown shape of one must not hide the others.
 */
export function readUpstreamError(answer: Answer): UpstreamError {
  const text = answer.body.toString('utf8').trim()
  if (text === '') return { readable: true }
  const parsed = parse(text)
  if (parsed === undefined) return { readable: false, ...plainText(answer, text) }

  const body = objectOf(parsed)
  const nested = objectOf(body['error'])
  const [first] = Array.isArray(body['errors']) ? body['errors'].map(objectOf) : []
  const error = textOf(body['error'])
  const description = textOf(body['error_description'])
  const message = joinedTextOf(body['message']) ?? description ?? joinedTextOf(nested['message'])
  return withoutUndefined({
    readable: true,
    message: message ?? error,
    // OAuth's `error` is a code. Next to a `message`, `error` is only the name of the status.
    errorCode:
      textOf(first?.['errorCode']) ??
      textOf(nested['code']) ??
      (description !== undefined || message === undefined ? error : undefined),
    field: fieldKeyOf(first?.['field']),
    traceId: traceIdOf(body)
  })
}

const withoutUndefined = (error: { [Name in keyof UpstreamError]: UpstreamError[Name] | undefined }) =>
  Object.fromEntries(Object.entries(error).filter(([, value]) => value !== undefined)) as unknown as UpstreamError

const parse = (text: string): unknown => {
  try {
    return JSON.parse(text) as unknown
  } catch {
    return undefined
  }
}

/** Envoy answers with one line of plain text ("no healthy upstream"). A page of HTML is of no use to a caller. */
const plainText = ({ headers }: Answer, text: string): Pick<UpstreamError, 'message'> =>
  String(headers['content-type'] ?? '').startsWith('text/plain') && text.length <= 200 ? { message: text } : {}
