import t from 'tap'
import { createBackgroundRetries } from '../../../src/grants/renewal/background-retries.ts'
import { openLog } from '../../../src/observability/log.ts'

function setup() {
  const lines: string[] = []
  const { log } = openLog('debug', { write: (line: string) => void lines.push(line) })
  const ending = new AbortController()
  return { lines, ending, ...createBackgroundRetries({ log, ending: ending.signal }) }
}

t.test('what fails is done again until it is done, and drain waits for it', async (t) => {
  const { start, drain, lines } = setup()
  let tries = 0

  start('the locations wait', async () => {
    tries += 1
    if (tries < 3) throw new Error('the store is away')
  })
  await drain()

  t.equal(tries, 3)
  t.match(
    lines.map((line) => JSON.parse(line)),
    [{ level: 40, msg: 'the locations wait', isLast: false, err: { message: 'the store is away' } }, { isLast: false }]
  )
})

t.test('when the process ends it is tried once more, and left', async (t) => {
  const { start, drain, ending } = setup()
  let tries = 0
  start('it fails for ever', async () => {
    tries += 1
    ending.abort()
    throw new Error('the store is away')
  })

  await drain()

  t.equal(tries, 1)
})
