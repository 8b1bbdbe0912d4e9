import t from 'tap'
import { createBackgroundRetries } from '../../../src/grants/renewal/background-retries.ts'
import { openLog } from '../../../src/observability/log.ts'
import { createClock } from '../../support/clock.ts'

function setup() {
  const lines: string[] = []
  const { log } = openLog('debug', { write: (line: string) => void lines.push(line) })
  const ending = new AbortController()
  const clock = createClock()
  return { lines, ending, clock, ...createBackgroundRetries({ clock, log, ending: ending.signal }) }
}

t.test('work that fails is repeated until it succeeds, and drain waits for it', async (t) => {
  const { start, drain, clock, lines } = setup()
  let tries = 0

  start('the locations could not be rescheduled', async () => {
    tries += 1
    if (tries < 3) throw new Error('the vault is down')
  })
  const drained = drain()
  await clock.pass(1_000)
  await drained

  t.equal(tries, 3)
  t.match(
    lines.map((line) => JSON.parse(line)),
    [
      {
        level: 40,
        msg: 'the locations could not be rescheduled',
        isLast: false,
        err: { message: 'the vault is down' }
      },
      { isLast: false }
    ]
  )
})

t.test('at shutdown, work is tried once more and then dropped', async (t) => {
  const { start, drain, ending } = setup()
  let tries = 0
  start('it keeps failing', async () => {
    tries += 1
    ending.abort()
    throw new Error('the vault is down')
  })

  await drain()

  t.equal(tries, 1)
})
