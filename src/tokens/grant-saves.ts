import { setTimeout as sleep } from 'node:timers/promises'
import type { BaseLogger } from 'pino'
import type { Grant, Subject, Vault } from './vault.ts'

const FIRST_RETRY_MS = 100
const LONGEST_RETRY_MS = 5_000

/**
 * Loads and saves grants so that a store that fails for a while loses nothing: what could not be saved is served from
 * memory and saved again until it holds. A pair of tokens that HighLevel has just rotated exists nowhere else.
 */
export function createGrantSaves(vault: Pick<Vault, 'loadGrant' | 'saveGrant'>, log: BaseLogger) {
  /** `after`: the generation that the store holds, as far as is known. */
  const unsaved = new Map<Subject, { grant: Grant; after: number }>()
  const retries = new Set<Promise<void>>()

  const retry = async (subject: Subject) => {
    for (let waitMs = FIRST_RETRY_MS; ; waitMs = Math.min(waitMs * 2, LONGEST_RETRY_MS)) {
      await sleep(waitMs)
      const waiting = unsaved.get(subject)
      if (waiting === undefined) return
      try {
        const held = await vault.saveGrant(waiting.grant, waiting.after)
        if (!held) log.warn({ subject }, 'a grant was replaced before it could be saved')
        // A newer one may have come to wait during the save: it then follows this one.
        const newer = unsaved.get(subject)
        if (newer === waiting) unsaved.delete(subject)
        else if (newer !== undefined) newer.after = waiting.grant.generation
      } catch (err) {
        log.error({ subject, err }, 'a grant could not be saved and is held in memory')
      }
    }
  }

  const hold = (grant: Grant, after: number) => {
    const isWaiting = unsaved.has(grant.subject)
    unsaved.set(grant.subject, { grant, after })
    if (isWaiting) return
    const running = retry(grant.subject).finally(() => retries.delete(running))
    retries.add(running)
  }

  const load = async (subject: Subject) => unsaved.get(subject)?.grant ?? (await vault.loadGrant(subject))

  return {
    load,

    /** Saves as the next generation. Resolves with what is in force now: `changed`, or the save that got ahead of it. */
    async save(changed: Grant): Promise<Grant | undefined> {
      const after = unsaved.get(changed.subject)?.after ?? changed.generation
      const next = { ...changed, generation: after + 1 }
      try {
        if (!unsaved.has(changed.subject))
          return (await vault.saveGrant(next, after)) ? next : await vault.loadGrant(next.subject)
      } catch (err) {
        log.error({ subject: changed.subject, err }, 'a grant could not be saved and is held in memory')
      }
      hold(next, after)
      return next
    },

    /** Resolves when nothing is unsaved any more. */
    async drain() {
      while (retries.size > 0) await Promise.all(retries)
    }
  }
}

export type GrantSaves = ReturnType<typeof createGrantSaves>
