import type { Answer } from '../call.ts'

/** What HighLevel says in an answer that is not a success. */
export interface UpstreamError {
  /** False where the body is neither JSON nor empty, such as the HTML of an edge server. */
  readable: boolean
  message?: string
  errorCode?: string
  /** The short key of the field that `errorCode` is about. */
  field?: string
  traceId?: string
}

type Members = Record<string, unknown>

const members = (value: unknown): Members => (typeof value === 'object' && value !== null ? (value as Members) : {})
/**
 * What is read of a text: the rules that search it take time that grows with the square of its length. More than
 * `withoutValues` looks at, which has to see that something was cut off.
 */
const MAX_CHARS = 2_500
const word = (value: unknown): string | undefined =>
  typeof value === 'string' && value !== '' ? value.slice(0, MAX_CHARS) : undefined

/** What a field key looks like: whatever else stands there is not repeated to a caller. */
const plainWord = (value: unknown): string | undefined =>
  typeof value === 'string' && /^[\w.~/-]{1,128}$/.test(value) ? value : undefined

/** HighLevel's id of the exchange, if it looks like one. */
export const traceIdOf = ({ traceId }: { traceId?: unknown }): string | undefined =>
  typeof traceId === 'string' && /^[0-9a-f-]{8,64}$/i.test(traceId) ? traceId : undefined

/** A string, or the strings of a list. */
const sentence = (value: unknown): string | undefined =>
  Array.isArray(value) ? word(value.filter((part) => typeof part === 'string').join('; ')) : word(value)

/**
 * Reads a string or array `message`, `error_description`, or an `error` that is a word or an object. Each member by
 * itself: every one is optional and of several shapes, and one that is odd must not hide what the others say.
 */
export function readUpstreamError(answer: Answer): UpstreamError {
  const text = answer.body.toString('utf8').trim()
  if (text === '') return { readable: true }
  const parsed = parse(text)
  if (parsed === undefined) return { readable: false, ...plain(answer, text) }

  const body = members(parsed)
  const nested = members(body['error'])
  const [first] = Array.isArray(body['errors']) ? body['errors'].map(members) : []
  const error = word(body['error'])
  const description = word(body['error_description'])
  const said = sentence(body['message']) ?? description ?? sentence(nested['message'])
  return without({
    readable: true,
    message: said ?? error,
    // OAuth's `error` is a code. Beside a `message` it is the name of the status and says nothing.
    errorCode:
      word(first?.['errorCode']) ??
      word(nested['code']) ??
      (description !== undefined || said === undefined ? error : undefined),
    field: plainWord(first?.['field']),
    traceId: traceIdOf(body)
  })
}

/** Members that are `undefined` are left out. */
const without = (words: { [Name in keyof UpstreamError]: UpstreamError[Name] | undefined }) =>
  Object.fromEntries(Object.entries(words).filter(([, value]) => value !== undefined)) as unknown as UpstreamError

const parse = (text: string): unknown => {
  try {
    return JSON.parse(text) as unknown
  } catch {
    return undefined
  }
}

/** Envoy speaks in one plain line ("no healthy upstream"); a page of HTML is of no use to a caller. */
const plain = (answer: Answer, text: string): Pick<UpstreamError, 'message'> =>
  String(answer.headers['content-type'] ?? '').startsWith('text/plain') && text.length <= 200 ? { message: text } : {}
