import type { Kysely } from 'kysely'
import type { Subject } from '../grant.ts'
import { type Cipher, CipherError } from './cipher.ts'
import { associatedData } from './rows.ts'
import type { Tables } from './tables.ts'
import type { GrantStore } from './vault.ts'

const BATCH_ROWS = 100

/** Reseals every row with the first vault key. */
export function createRekey(db: Kysely<Tables>, cipher: Cipher): Pick<GrantStore, 'rekeyGrants'> {
  const nextBatch = (after: Subject) =>
    db
      .selectFrom('grants')
      .select(['subject', 'sealed'])
      .where('key_id', '!=', cipher.sealingKeyId)
      .where('subject', '>', after)
      .orderBy('subject')
      .limit(BATCH_ROWS)
      .execute()

  /** Updates only if the ciphertext is unchanged: a renewal saved in between has sealed with the first key itself. */
  const reseal = async (subject: Subject, sealed: string): Promise<boolean> => {
    const aad = associatedData(subject)
    const { numUpdatedRows } = await db
      .updateTable('grants')
      .set({ sealed: cipher.seal(cipher.open(sealed, aad), aad), key_id: cipher.sealingKeyId })
      .where('subject', '=', subject)
      .where('sealed', '=', sealed)
      .executeTakeFirst()
    return numUpdatedRows === 1n
  }

  return {
    async rekeyGrants() {
      const counts = { resealed: 0, damaged: 0 }
      let after = '' as Subject
      for (;;) {
        const rows = await nextBatch(after)
        if (rows.length === 0) return counts
        for (const { subject, sealed } of rows) {
          after = subject
          try {
            if (sealed !== null && (await reseal(subject, sealed))) counts.resealed += 1
          } catch (error) {
            if (!(error instanceof CipherError)) throw error
            counts.damaged += 1
          }
        }
      }
    }
  }
}
