import { once } from 'node:events'
import type { Test } from 'tap'
import type { Grant } from '../../src/grants/grant.ts'
import { createPendingSaves } from '../../src/grants/pending-saves.ts'
import type { GrantStore } from '../../src/grants/vault/vault.ts'
import { openLog } from '../../src/observability/log.ts'
import { openStore } from '../support/stores.ts'
import { install, issuedGrant } from './issued-grants.ts'

const down = () => Promise.reject(new Error('the disk is full'))

type Door = Pick<GrantStore, 'loadGrant' | 'saveIssued' | 'installGrant'>

/** A real vault that holds generation 1 of one grant, behind a door: the test says what becomes of the next writes. */
export async function savesBehindDoor(t: Test) {
  const file = await openStore(t, 'sqlite')
  if (file === undefined) throw new Error('SQLite is always there')
  const vault = await file.open()
  await vault.installGrant(issuedGrant('first'), install(1))
  const attempts = new EventTarget()
  const door: ((write: () => Promise<unknown>) => Promise<unknown>)[] = []
  const pass = async <Value>(write: () => Promise<Value>): Promise<Value> => {
    const next = door.shift()
    attempts.dispatchEvent(new Event('write'))
    await next?.(write)
    return write()
  }
  const store: Door = {
    loadGrant: vault.loadGrant,
    saveIssued: (...args) => pass(() => vault.saveIssued(...args)),
    installGrant: (...args) => pass(() => vault.installGrant(...args))
  }
  const lines: string[] = []
  const { log } = openLog('debug', { write: (line: string) => void lines.push(line) })
  return {
    vault,
    url: file.url,
    lines,
    saves: createPendingSaves(store, log),
    /** So many of the next writes fail. */
    failing: (times: number) => door.push(...Array.from({ length: times }, () => down)),
    /** The next write is left to the test, and said to have failed. */
    carriedOutUnseen: (act: (write: () => Promise<unknown>) => Promise<unknown>) =>
      door.push((write) => act(write).then(down)),
    /** The next write waits until the function that is returned is called. */
    holding() {
      const { promise, resolve } = Promise.withResolvers<void>()
      door.push(() => promise)
      return resolve
    },
    /** Resolves with the next attempt to write. */
    attempt: () => once(attempts, 'write')
  }
}

export const token = (held: Grant | undefined) => held?.tokens?.accessToken
