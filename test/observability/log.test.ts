import { spawnSync } from 'node:child_process'
import t from 'tap'
import { openLog } from '../../src/observability/log.ts'

/** A log that keeps its lines in memory. */
function memoryLog(level = 'debug') {
  const lines: string[] = []
  const { log, close } = openLog(level, { write: (line: string) => void lines.push(line) })
  return { log, close, lines, last: () => JSON.parse(lines.at(-1) ?? '{}') as Record<string, unknown> }
}

t.test(
  'a line is one JSON document with its level and its time in epoch milliseconds, and nothing about the machine',
  async (t) => {
    const { log, lines, last } = memoryLog()

    log.info({ location: 'one' }, 'a thing happened')

    t.equal(lines.length, 1)
    t.strictSame(Object.keys(last()).sort(), ['level', 'location', 'msg', 'time'])
    t.match(last(), { level: 30, location: 'one', msg: 'a thing happened', time: Number })
  }
)

t.test('lines below the level are not written', async (t) => {
  const { log, lines, close } = memoryLog('warn')

  log.info('too low')
  log.warn('high enough')
  close()

  t.equal(lines.length, 1)
})

t.test('only an error’s name, message, code and stack are written, whatever a driver attached to it', async (t) => {
  const { log, lines, last } = memoryLog()
  class QueryError extends Error {
    override readonly name = 'QueryError'
    readonly code = 'SQLITE_BUSY'
    readonly query = 'update grants set sealed = secret-1'
    readonly parameters = ['secret-2']
    readonly config = { headers: { authorization: 'Bearer secret-3' } }
    toJSON() {
      return { everything: 'secret-4' }
    }
  }

  log.error({ err: new QueryError('the table is locked') }, 'a save failed')

  const err = last()['err'] as Record<string, unknown>
  t.strictSame(Object.keys(err), ['type', 'message', 'code', 'stack'])
  t.match(err, { type: 'QueryError', message: 'the table is locked', code: 'SQLITE_BUSY', stack: /^QueryError: the / })
  t.notMatch(lines.join(''), 'secret')
})

t.test('an error logged directly is reduced to the same parts', async (t) => {
  const { log, lines, last } = memoryLog()

  log.error(Object.assign(new Error('failed'), { body: 'secret' }))

  t.match(last(), { msg: 'failed', err: { type: 'Error', message: 'failed' } })
  t.notMatch(lines.join(''), 'secret')
})

t.test('a code that is not a string is left out', async (t) => {
  const { log, last } = memoryLog()

  log.error({ err: Object.assign(new Error('failed'), { code: { row: 'secret' } }) })

  t.strictSame(Object.keys(last()['err'] as object), ['type', 'message', 'stack'])
})

t.test('causes are nested, reduced to the same parts, and at most four deep', async (t) => {
  const { log, last, lines } = memoryLog()
  let error = new Error('depth 6')
  for (let depth = 5; depth >= 0; depth -= 1)
    error = Object.assign(new Error(`depth ${depth}`, { cause: error }), { row: 'secret' })

  log.error({ err: error })

  const depths: unknown[] = []
  for (let at = last()['err'] as Record<string, unknown> | undefined; at; at = at['cause'] as typeof at)
    depths.push(at['message'])
  t.strictSame(depths, ['depth 0', 'depth 1', 'depth 2', 'depth 3', 'depth 4'])
  t.notMatch(lines.join(''), 'secret')
})

t.test('an error that is its own cause is written without a loop', async (t) => {
  const { log, lines } = memoryLog()
  const error = new Error('round')
  error.cause = error

  log.error({ err: error })

  t.equal(lines.length, 1)
})

t.test('a thrown value that is not an error is logged by type only, since it may be a secret', async (t) => {
  const { log, last } = memoryLog()

  for (const [thrown, type] of [
    ['secret', 'string'],
    [{ token: 'secret' }, 'object'],
    [17, 'number'],
    [null, 'object']
  ]) {
    log.error({ err: new Error('outer', { cause: thrown }) })
    t.strictSame((last()['err'] as Record<string, unknown>)['cause'], { type })
  }
  log.error({ err: 'secret' })
  t.strictSame(last()['err'], { type: 'string' })
})

t.test('requests and replies are never written', async (t) => {
  const { log, last } = memoryLog()

  log.info({ req: { headers: { authorization: 'secret' } }, res: { text: 'secret' } }, 'incoming request')

  t.match(last(), { msg: 'incoming request' })
  t.notOk('req' in last() || 'res' in last())
})

/** Runs a separate process that logs 500 lines to standard output and then executes `end`. */
function write(end: string) {
  const program = `
    import { openLog } from ${JSON.stringify(new URL('../../src/observability/log.ts', import.meta.url).href)}
    const { log, close } = openLog('info')
    for (let line = 0; line < 500; line += 1) log.info({ line }, 'x'.repeat(100))
    ${end}
  `
  const ended = spawnSync(process.execPath, ['--input-type=module-typescript', '--eval', program], { encoding: 'utf8' })
  return { ...ended, lines: ended.stdout.match(/"line":/g)?.length }
}

t.test('closing the log writes all lines to standard output, even right before a SIGKILL', async (t) => {
  t.match(write("await close(); process.kill(process.pid, 'SIGKILL')"), { signal: 'SIGKILL', lines: 500 })
})

t.test('all lines are written to standard output when the process ends by itself or exits at once', async (t) => {
  t.match(write(''), { status: 0, lines: 500, stderr: '' })
  t.match(write('setTimeout(() => process.exit(3), 300)'), { status: 3, lines: 500, stderr: '' })
  t.match(write("log.info({ line: 500 }, 'the last one'); process.exit(3)"), { status: 3, lines: 501, stderr: '' })
})
