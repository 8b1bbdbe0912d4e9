import { type ServerResponse, STATUS_CODES } from 'node:http'
import type { Answer } from './answers.ts'
import type { Fault, FaultKind } from './faults.ts'

const JSON_TYPE = 'application/json; charset=utf-8'
const HUGE_BYTES = 3 * 1024 * 1024
const ERROR_1010 = `<!DOCTYPE html>
<html lang="en"><head><title>Access denied</title></head>
<body><h1>Error 1010</h1><p>The owner of this website has banned your access based on your browser's signature.</p></body></html>
`

/** Executes the request and returns the answer. Not called by faults that keep a request from reaching HighLevel. */
export type Execute = () => Answer

type FaultInjector<K extends FaultKind> = (response: ServerResponse, execute: Execute, fault: Fault<K>) => void

let answers = 0

/** Adds the trace id that every answer of HighLevel has: here a counter, so that runs are reproducible. */
function serialize({ body }: Answer): string {
  answers += 1
  return JSON.stringify({ ...body, traceId: `00000000-0000-4000-8000-${answers.toString(16).padStart(12, '0')}` })
}

function send(response: ServerResponse, status: number, type: string, text: string, headers: object = {}): void {
  response.writeHead(status, { ...headers, 'content-type': type, 'content-length': Buffer.byteLength(text) })
  response.end(text)
}

/** The bytes of an answer on the wire. */
function wireText(answer: Answer, framing: 'length' | 'chunked' | 'close'): string {
  const text = serialize(answer)
  const size = Buffer.byteLength(text)
  const fields = {
    ...answer.headers,
    'Content-Type': JSON_TYPE,
    ...(framing === 'length' && { 'Content-Length': String(size) }),
    ...(framing === 'chunked' && { 'Transfer-Encoding': 'chunked' }),
    ...(framing === 'close' && { Connection: 'close' })
  }
  const head = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`)
  const body = framing === 'chunked' ? `${size.toString(16)}\r\n${text}\r\n0\r\n\r\n` : text
  return `HTTP/1.1 ${answer.status} ${STATUS_CODES[answer.status]}\r\n${head.join('')}\r\n${body}`
}

function sendStatus(
  response: ServerResponse,
  { status, body = '', headers = {} }: Omit<Fault<'status'>, 'kind'>
): void {
  const [type, text] = typeof body === 'string' ? ['text/plain', body] : [JSON_TYPE, JSON.stringify(body)]
  response.setHeader('content-type', type)
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value)
  response.statusCode = status
  response.end(text)
}

const INJECTORS: { [K in FaultKind]: FaultInjector<K> } = {
  status: (response, _execute, fault) => sendStatus(response, fault),
  'status-after'(response, execute, fault) {
    execute()
    sendStatus(response, fault)
  },
  html: (response) => send(response, 403, 'text/html; charset=UTF-8', ERROR_1010),
  slow(response, execute, { delayMs }) {
    const answer = execute()
    afterDelay(delayMs, () => sendAnswer(response, answer))
  },
  hang: () => undefined,
  'slow-body'(response, execute, { delayMs }) {
    const { status, headers, ...answer } = execute()
    const bytes = Buffer.from(serialize({ status, ...answer }))
    response.writeHead(status, { ...headers, 'content-type': JSON_TYPE, 'content-length': bytes.length })
    response.write(bytes.subarray(0, bytes.length / 2))
    afterDelay(delayMs, () => response.end(bytes.subarray(bytes.length / 2)))
  },
  'reset-before': (response) => response.socket?.resetAndDestroy(),
  'reset-after'(response, execute) {
    execute()
    response.socket?.resetAndDestroy()
  },
  cut(response, execute, { bytes, framing = 'length' }) {
    const whole = Buffer.from(wireText(execute(), framing))
    const { socket } = response
    socket?.end(whole.subarray(0, bytes % whole.length), () => socket.destroy())
  },
  truncated(response, execute) {
    const text = serialize(execute())
    send(response, 200, JSON_TYPE, text.slice(0, text.length / 2))
  },
  empty(response, execute) {
    const { status, headers } = execute()
    response.writeHead(status, { ...headers, 'content-length': 0 }).end()
  },
  'wrong-type'(response, execute) {
    const answer = execute()
    send(response, answer.status, 'text/plain', serialize(answer), answer.headers)
  },
  huge(response, execute) {
    execute()
    send(response, 200, JSON_TYPE, JSON.stringify({ padding: 'x'.repeat(HUGE_BYTES) }))
  }
}

export const isFaultKind = (kind: unknown): kind is FaultKind =>
  typeof kind === 'string' && Object.hasOwn(INJECTORS, kind)

export const sendAnswer = (response: ServerResponse, answer: Answer): void =>
  send(response, answer.status, JSON_TYPE, serialize(answer), answer.headers)

export function injectFault<K extends FaultKind>(response: ServerResponse, execute: Execute, fault: Fault<K>): void {
  const act: FaultInjector<K> = INJECTORS[fault.kind]
  act(response, execute, fault)
}

/** `unref`: a delayed answer must not keep a closed simulator alive. */
const afterDelay = (delayMs: number, act: () => void) => void setTimeout(act, delayMs).unref()
