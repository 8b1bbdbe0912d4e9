import { createServer } from 'node:http'
import { Pool } from 'undici'

// The least that a forwarder in Node can do, and so the floor that the others stand on: no router, no check, no log.
const pool = new Pool(process.env.UPSTREAM_URL, { connections: 64 })
const headers = {
  Authorization: `Bearer ${process.env.UPSTREAM_TOKEN}`,
  Version: '2021-07-28',
  'Content-Type': 'application/json',
  Accept: 'application/json',
  'User-Agent': 'floor/1'
}

async function forward(request, response, body) {
  const path = request.url.replace(/^\/records\/([^/]+)\//, '/objects/$1/records/')
  const answer = await pool.request({ method: 'PUT', path, headers, body })
  const text = await answer.body.text()
  response.writeHead(answer.statusCode, {
    'Content-Type': answer.headers['content-type'],
    'Content-Length': Buffer.byteLength(text)
  })
  response.end(text)
}

createServer((request, response) => {
  const chunks = []
  request.on('data', (chunk) => chunks.push(chunk))
  request.on('end', () => {
    if (request.method !== 'PATCH') return response.end('ready')
    forward(request, response, Buffer.concat(chunks)).catch(() => response.writeHead(502).end())
  })
}).listen(Number(process.env.PORT), '127.0.0.1')
