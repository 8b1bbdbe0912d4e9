import Type from 'typebox'
import { Compile } from 'typebox/compile'
import type { Answer } from './call.ts'

/** What HighLevel says in an answer that is not a success. */
export interface Words {
  /** False where the body is neither JSON nor empty, such as the HTML of an edge server. */
  readable: boolean
  message?: string
  errorCode?: string
  /** The short key of the field that `errorCode` is about. */
  field?: string
  traceId?: string
}

const Text = Type.Union([Type.String(), Type.Array(Type.String())])

/** Every member is optional and of several shapes, and the v3 documents nest them in `error`. */
const Body = Compile(
  Type.Object({
    message: Type.Optional(Text),
    error: Type.Optional(
      Type.Union([Type.String(), Type.Object({ message: Type.Optional(Text), code: Type.Optional(Type.String()) })])
    ),
    error_description: Type.Optional(Type.String()),
    errors: Type.Optional(
      Type.Array(Type.Object({ errorCode: Type.Optional(Type.String()), field: Type.Optional(Type.String()) }))
    ),
    traceId: Type.Optional(Type.String())
  })
)

const sentence = (text: string | string[] | undefined) => (Array.isArray(text) ? text.join('; ') : text)

/** Reads a string or array `message`, `error_description`, or an `error` that is a word or an object. */
export function readWords(answer: Answer): Words {
  const text = answer.body.toString('utf8').trim()
  if (text === '') return { readable: true }

  const body = parse(text)
  if (body === undefined) return { readable: false, ...plain(answer, text) }
  if (!Body.Check(body)) return { readable: true }

  const nested = typeof body.error === 'object' ? body.error : undefined
  const message =
    sentence(body.message ?? body.error_description ?? nested?.message) ??
    (typeof body.error === 'string' ? body.error : undefined)
  const errorCode =
    body.errors?.[0]?.errorCode ?? nested?.code ?? (typeof body.error === 'string' ? body.error : undefined)
  const field = body.errors?.[0]?.field
  return {
    readable: true,
    ...(message !== undefined && { message }),
    ...(errorCode !== undefined && { errorCode }),
    ...(field !== undefined && { field }),
    ...(body.traceId !== undefined && { traceId: body.traceId })
  }
}

const parse = (text: string): unknown => {
  try {
    return JSON.parse(text) as unknown
  } catch {
    return undefined
  }
}

/** Envoy speaks in one plain line ("no healthy upstream"); a page of HTML is of no use to a caller. */
const plain = (answer: Answer, text: string): Pick<Words, 'message'> =>
  String(answer.headers['content-type'] ?? '').startsWith('text/plain') && text.length <= 200 ? { message: text } : {}
