import { once } from 'node:events'
import type { Test } from 'tap'
import type { Grant } from '../../src/grants/grant.ts'
import { createPendingSaves } from '../../src/grants/pending-saves.ts'
import type { GrantStore } from '../../src/grants/vault/vault.ts'
import { openLog } from '../../src/observability/log.ts'
import { systemClock } from '../../src/shared/clock.ts'
import { openTestDatabase } from '../support/databases.ts'
import { install, issuedGrant } from './issued-grants.ts'

const fail = () => Promise.reject(new Error('the disk is full'))

/** A real vault that holds generation 1 of one grant. The test decides what happens to each of the next writes. */
export async function openFailingVault(t: Test) {
  const database = await openTestDatabase(t, 'sqlite')
  if (database === undefined) throw new Error('SQLite is always there')
  const vault = await database.open()
  await vault.installGrant(issuedGrant('first'), install(1))
  const writes = new EventTarget()
  const interceptors: ((write: () => Promise<unknown>) => Promise<unknown>)[] = []
  const intercept = async <Value>(write: () => Promise<Value>): Promise<Value> => {
    const interceptor = interceptors.shift()
    writes.dispatchEvent(new Event('write'))
    await interceptor?.(write)
    return write()
  }
  const store: Pick<GrantStore, 'loadGrant' | 'saveIssued' | 'installGrant'> = {
    loadGrant: vault.loadGrant,
    saveIssued: (...args) => intercept(() => vault.saveIssued(...args)),
    installGrant: (...args) => intercept(() => vault.installGrant(...args))
  }
  const lines: string[] = []
  const { log } = openLog('debug', { write: (line: string) => void lines.push(line) })
  return {
    vault,
    url: database.url,
    lines,
    saves: createPendingSaves(store, log, systemClock),
    /** Makes this many of the next writes fail. */
    failNextWrites: (times: number) => interceptors.push(...Array.from({ length: times }, () => fail)),
    /** Lets the test run the next write by itself, and then reports it as failed. */
    reportFailureAfter: (act: (write: () => Promise<unknown>) => Promise<unknown>) =>
      interceptors.push((write) => act(write).then(fail)),
    /** Holds the next write until the returned function is called. */
    holdNextWrite() {
      const { promise, resolve } = Promise.withResolvers<void>()
      interceptors.push(() => promise)
      return resolve
    },
    /** Resolves when the next write is attempted. */
    nextWrite: () => once(writes, 'write')
  }
}

export const accessTokenOf = (grant: Grant | undefined) => grant?.tokens?.accessToken
