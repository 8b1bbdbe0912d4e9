import t from 'tap'
import { SEED } from '../simulator/seed.ts'
import { RECORD, startGateway, startSimulator } from '../support/harness.ts'

const OBJECT = `/objects/${SEED.schemaKey}?locationId=${SEED.locationId}`

t.test('a read with another If-Match gets 412 with the current ETag', async (t) => {
  const simulator = await startSimulator(t)
  const { call } = await startGateway(t, { simulator })

  for (const path of [RECORD, OBJECT]) {
    const tag = (await call(path)).headers.get('etag') ?? ''
    for (const ifMatch of ['*', tag, `"other", ${tag}`])
      t.equal((await call(path, { headers: { 'if-match': ifMatch } })).status, 200, `${path} ${ifMatch}`)
    for (const ifMatch of ['"other"', `W/${tag}`]) {
      const reply = await call(path, { headers: { 'if-match': ifMatch, 'if-none-match': tag } })
      t.match(reply.json, { status: 412, code: 'precondition-failed' }, `${path} ${ifMatch}`)
      t.equal(reply.headers.get('etag'), tag)
    }
    const odd = await call(path, { headers: { 'if-match': 'other' } })
    t.match(odd.json, { status: 400, errors: [{ parameter: 'if-match' }] })
  }
})

t.test('a read rejects If-Unmodified-Since, and ignores If-Modified-Since and Range', async (t) => {
  const simulator = await startSimulator(t)
  const { call } = await startGateway(t, { simulator })
  const at = new Date().toUTCString()

  for (const path of [RECORD, OBJECT]) {
    const refused = await call(path, { headers: { 'if-unmodified-since': at } })
    const whole = await call(path, { headers: { 'if-modified-since': at, range: 'bytes=0-1', 'if-range': '"a"' } })

    t.match(refused.json, { status: 400, errors: [{ parameter: 'if-unmodified-since', detail: /If-Match/ }] })
    t.equal(whole.status, 200)
  }
})
