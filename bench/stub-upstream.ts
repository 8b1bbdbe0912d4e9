import { createServer, type Socket } from 'node:net'
import { recordAnswer, recordId, schemaAnswer } from './example.ts'

// HighLevel as cheap as it can be played. It shares a core with the load, and node:http here would cost more than the
// load itself and hold the fastest contestants back; so this reads just enough of HTTP to find where a request ends.

// High limits, or the gateway would learn HighLevel's real ones from these fields and hold the load back.
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

const whole = (answer: string) => Buffer.from(`${head(Buffer.byteLength(answer))}\r\n\r\n${answer}`)
const record = whole(recordAnswer)
const schema = whole(schemaAnswer)
const idAt = record.indexOf(recordId)

/** The record that was asked for. All ids are of one length. */
function recordFor(request: string): Buffer {
  const start = request.indexOf('/records/') + '/records/'.length
  const answer = Buffer.from(record)
  answer.write(request.slice(start, start + recordId.length), idAt, 'latin1')
  return answer
}

/** The length of the first request in `bytes`, or nothing while it is incomplete. */
function requestLength(bytes: string): number | undefined {
  const end = bytes.indexOf('\r\n\r\n')
  if (end === -1) return undefined
  const fields = bytes.slice(0, end)
  if (/\ntransfer-encoding:/i.test(fields)) throw new Error('The stub reads bodies with a content-length only')
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
