import { randomInt } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { BaseLogger } from 'pino'
import { Problem } from '../problems.ts'
import { createKeyedQueue } from '../shared/keyed-queue.ts'
import type { Grant, Subject, Vault } from './vault.ts'

const FIRST_RETRY_MS = 100
const LONGEST_RETRY_MS = 5_000
const GENERATION_LEAP = 2 ** 20

/**
 * Loads and saves grants so that a store that fails for a while loses nothing: what could not be saved is served from
 * memory and saved again until it holds. A pair of tokens that HighLevel has just rotated exists nowhere else.
 *
 * One save a subject is under way at a time, so that each knows what the store holds when it begins.
 */
export function createGrantSaves(vault: Pick<Vault, 'loadGrant' | 'saveGrant'>, log: BaseLogger) {
  /** What the store does not have yet, and the generation that it has in its place. */
  const unsaved = new Map<Subject, { grant: Grant; after: number }>()
  const retries = new Set<Promise<void>>()
  const alone = createKeyedQueue()

  const failed = (subject: Subject, err: unknown) =>
    log.error({ subject, err }, 'a grant could not be saved and is held in memory')

  /** Whether nothing of the subject is unsaved any more. */
  const saveAgain = async (subject: Subject): Promise<boolean> => {
    const waiting = unsaved.get(subject)
    if (waiting === undefined) return true
    try {
      const held = await vault.saveGrant(waiting.grant, waiting.after, waiting.grant.generation)
      if (!held) log.warn({ subject }, 'a grant was replaced before it could be saved')
      unsaved.delete(subject)
      return true
    } catch (err) {
      failed(subject, err)
      return false
    }
  }

  const retry = async (subject: Subject): Promise<void> => {
    for (let waitMs = FIRST_RETRY_MS; ; waitMs = Math.min(waitMs * 2, LONGEST_RETRY_MS)) {
      await sleep(waitMs)
      if (await alone(subject, () => saveAgain(subject))) return
    }
  }

  const hold = (changed: Grant, after: number): Grant => {
    // Far from what another process may save meanwhile: no two grants may ever bear the same generation.
    const grant = { ...changed, generation: changed.generation + randomInt(2, GENERATION_LEAP) }
    const isRetried = unsaved.has(grant.subject)
    unsaved.set(grant.subject, { grant, after })
    if (isRetried) return grant
    const running = retry(grant.subject).finally(() => retries.delete(running))
    retries.add(running)
    return grant
  }

  /** Rejects with a Problem. */
  const load = async (subject: Subject): Promise<Grant | undefined> => {
    try {
      return unsaved.get(subject)?.grant ?? (await vault.loadGrant(subject))
    } catch (cause) {
      throw new Problem('vault-unavailable', 'The stored token cannot be read', { retryAfterSeconds: 5, cause })
    }
  }

  const saveAlone = async (changed: Grant): Promise<Grant | undefined> => {
    const waiting = unsaved.get(changed.subject)
    if (waiting !== undefined) {
      return waiting.grant.generation === changed.generation ? hold(changed, waiting.after) : waiting.grant
    }
    try {
      const next = { ...changed, generation: changed.generation + 1 }
      return (await vault.saveGrant(next, changed.generation)) ? next : await vault.loadGrant(changed.subject)
    } catch (err) {
      failed(changed.subject, err)
      return hold(changed, changed.generation)
    }
  }

  return {
    load,

    /**
     * Saves a change of the grant of generation `changed.generation` as the next one. Resolves with what is in force
     * then: the change, or what got ahead of it.
     */
    save: (changed: Grant): Promise<Grant | undefined> => alone(changed.subject, () => saveAlone(changed)),

    /** Resolves when nothing is unsaved any more. */
    async drain(): Promise<void> {
      do await alone.settled()
      while ((await Promise.all(retries)).length > 0)
    }
  }
}

export type GrantSaves = ReturnType<typeof createGrantSaves>
