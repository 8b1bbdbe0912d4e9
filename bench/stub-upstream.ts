import { createServer, type Socket } from 'node:net'
import { recordAnswer, recordId, schemaAnswer } from './example.ts'

// The cheapest possible stub of HighLevel. It shares a core with the load, where node:http would cost more than the
// load itself and slow down the fastest contestants. So it parses only enough of HTTP to find the end of a request.

// High limits: the gateway learns its quota from these headers, and must not throttle the load.
const head = (length: number) =>
  [
    'HTTP/1.1 200 OK',
    'Content-Type: application/json; charset=utf-8',
    `Content-Length: ${length}`,
    'X-RateLimit-Limit-Daily: 1000000000',
    'X-RateLimit-Daily-Remaining: 999999999',
    'X-RateLimit-Interval-Milliseconds: 10000',
    'X-RateLimit-Max: 1000000000',
    'X-RateLimit-Remaining: 999999999'
  ].join('\r\n')

const buildAnswer = (answer: string) => Buffer.from(`${head(Buffer.byteLength(answer))}\r\n\r\n${answer}`)
const record = buildAnswer(recordAnswer)
const schema = buildAnswer(schemaAnswer)
const idAt = record.indexOf(recordId)

/** The answer with the id of the requested record. All ids have the same length. */
function recordFor(request: string): Buffer {
  const start = request.indexOf('/records/') + '/records/'.length
  const answer = Buffer.from(record)
  answer.write(request.slice(start, start + recordId.length), idAt, 'latin1')
  return answer
}

/** The length of the first request in `bytes`, or `undefined` while it is incomplete. */
function requestLength(bytes: string): number | undefined {
  const end = bytes.indexOf('\r\n\r\n')
  if (end === -1) return undefined
  const fields = bytes.slice(0, end)
  if (/\ntransfer-encoding:/i.test(fields)) throw new Error('The stub only supports bodies with a Content-Length')
  const length = end + 4 + Number(/\ncontent-length: *(\d+)/i.exec(fields)?.[1] ?? 0)
  return bytes.length < length ? undefined : length
}

function serve(socket: Socket): void {
  let bytes = ''
  socket.on('data', (chunk) => {
    bytes += chunk.toString('latin1')
    for (let length = requestLength(bytes); length !== undefined; length = requestLength(bytes)) {
      socket.write(bytes.startsWith('PUT ') ? recordFor(bytes) : schema)
      bytes = bytes.slice(length)
    }
  })
  socket.on('error', () => socket.destroy())
}

createServer({ noDelay: true }, serve).listen(Number(process.env['PORT']), '127.0.0.1')
