import { setTimeout as sleep } from 'node:timers/promises'
import type { BaseLogger } from 'pino'
import { Problem } from '../problems.ts'
import type { Fruit, Grant, GrantStore, Subject } from './vault.ts'

const FIRST_RETRY_MS = 100
const LONGEST_RETRY_MS = 5_000

/** What a save came to: the grant in force, and when nothing of it is in memory alone any more. */
export interface Kept {
  grant: Grant | undefined
  saved: Promise<void>
}

interface Held {
  grant: Grant
  /** Resolves with what the store holds then. Safe to repeat: a first try may have been carried out unseen. */
  write: () => Promise<Grant | undefined>
}

const unclaimed = { failures: 0, triedAt: null, intentAt: null, leaseOwner: null, leaseUntil: null } as const

const connected = (fruit: Fruit, generation: number): Grant => ({
  ...fruit,
  ...unclaimed,
  generation,
  state: 'connected',
  stateReason: null
})

/**
 * Loads and saves grants so that a store that fails for a while loses nothing: what could not be saved is served from
 * memory and saved again until it holds. A pair of tokens that HighLevel has just issued exists nowhere else.
 */
export function createGrantSaves(vault: Pick<GrantStore, 'loadGrant' | 'saveFruit' | 'installGrant'>, log: BaseLogger) {
  const unsaved = new Map<Subject, Held>()
  const retries = new Set<Promise<void>>()

  const failed = (subject: Subject, err: unknown) =>
    log.error({ subject, err }, 'a grant could not be saved and is held in memory')

  const retry = async (subject: Subject, held: Held): Promise<void> => {
    for (let waitMs = FIRST_RETRY_MS; ; waitMs = Math.min(waitMs * 2, LONGEST_RETRY_MS)) {
      await sleep(waitMs)
      // A newer one has taken its place.
      if (unsaved.get(subject) !== held) return
      try {
        const inForce = await held.write()
        const isOurs = inForce?.tokens?.accessToken === held.grant.tokens?.accessToken
        log.info({ subject }, isOurs ? 'a grant held in memory is saved' : 'a grant was replaced before it was saved')
        if (unsaved.get(subject) === held) unsaved.delete(subject)
        return
      } catch (err) {
        failed(subject, err)
      }
    }
  }

  const keep = async (held: Held): Promise<Kept> => {
    const { subject } = held.grant
    try {
      const grant = await held.write()
      unsaved.delete(subject)
      return { grant, saved: Promise.resolve() }
    } catch (err) {
      failed(subject, err)
      unsaved.set(subject, held)
      const saved = retry(subject, held).finally(() => retries.delete(saved))
      retries.add(saved)
      return { grant: held.grant, saved }
    }
  }

  return {
    /** The grant in force, from memory where the store does not have it yet. Rejects with a Problem. */
    async load(subject: Subject): Promise<Grant | undefined> {
      try {
        return unsaved.get(subject)?.grant ?? (await vault.loadGrant(subject))
      } catch (cause) {
        throw new Problem('vault-unavailable', 'The stored token cannot be read', { retryAfterSeconds: 5, cause })
      }
    },

    /** Saves what a renewal made of generation `after`. Never rejects. */
    save(fruit: Fruit, after: number): Promise<Kept> {
      const grant = connected(fruit, after + 1)
      const write = async () => ((await vault.saveFruit(fruit, after)) ? grant : vault.loadGrant(fruit.subject))
      return keep({ grant, write })
    },

    /** Saves what an install brought. Never rejects. */
    install(fruit: Fruit, at: number): Promise<Kept> {
      const write = async () => {
        await vault.installGrant(fruit, at)
        return vault.loadGrant(fruit.subject)
      }
      return keep({ grant: connected(fruit, 0), write })
    },

    /** Whose grants are in memory alone. */
    unsaved: (): readonly Subject[] => [...unsaved.keys()],

    /** Resolves when nothing is unsaved any more. */
    async drain(): Promise<void> {
      while (retries.size > 0) await Promise.all(retries)
    }
  }
}

export type GrantSaves = ReturnType<typeof createGrantSaves>
