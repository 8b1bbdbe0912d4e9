import { once } from 'node:events'
import type { Test } from 'tap'
import { openLog } from '../../src/shared/log.ts'
import { createGrantSaves } from '../../src/tokens/grant-saves.ts'
import type { Grant, Vault } from '../../src/tokens/vault.ts'
import { grant, vaultFile } from './vault-file.ts'

const down = () => Promise.reject(new Error('the disk is full'))

/** A real vault that holds generation 1 of one grant, behind a door: the test says what becomes of the next saves. */
export async function savesBehindDoor(t: Test) {
  const vault = await vaultFile(t).open()
  await vault.saveGrant(grant('first'), 0)
  const attempts = new EventTarget()
  const door: (() => Promise<void>)[] = []
  const store: Pick<Vault, 'loadGrant' | 'saveGrant'> = {
    loadGrant: vault.loadGrant,
    async saveGrant(...args) {
      const pass = door.shift()
      attempts.dispatchEvent(new Event('save'))
      await pass?.()
      return vault.saveGrant(...args)
    }
  }
  const lines: string[] = []
  const { log } = openLog('debug', { write: (line: string) => void lines.push(line) })
  return {
    vault,
    lines,
    saves: createGrantSaves(store, log),
    /** So many of the next saves fail. */
    failing: (times: number) => door.push(...Array.from({ length: times }, () => down)),
    /** The next save waits until the function that is returned is called. */
    holding() {
      const { promise, resolve } = Promise.withResolvers<void>()
      door.push(() => promise)
      return resolve
    },
    /** Resolves with the next attempt to save. */
    attempt: () => once(attempts, 'save')
  }
}

export const at = (generation: number, accessToken: string): Grant => ({ ...grant(accessToken), generation })
export const token = (held: Grant | undefined) => held?.tokens?.accessToken
