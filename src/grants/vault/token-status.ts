import type { Kysely } from 'kysely'
import type { Tables } from './tables.ts'
import type { GrantStore } from './vault.ts'

type TokenStatus = Pick<GrantStore, 'markVerified' | 'markRefused'>

/** Records whether HighLevel accepted or refused a token that was used. */
export function createTokenStatus(db: Kysely<Tables>): TokenStatus {
  return {
    async markVerified(subject, generation, at) {
      const ofGeneration = db.updateTable('grants').where('subject', '=', subject).where('generation', '=', generation)
      await ofGeneration.set({ proven: 1 }).execute()
      await ofGeneration
        .set({ state: 'connected', state_since: at, state_reason: null })
        .where('kind', '=', 'private')
        .where('state', '=', 'reconnect-required')
        .execute()
    },

    async markRefused(subject, generation, at) {
      await db
        .updateTable('grants')
        .set({ proven: 0, state: 'reconnect-required', state_since: at, state_reason: 'HighLevel refuses the token' })
        .where('subject', '=', subject)
        .where('generation', '=', generation)
        .where('kind', '=', 'private')
        .where('state', '=', 'connected')
        .execute()
    }
  }
}
