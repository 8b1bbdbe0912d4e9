import t from 'tap'
import { onEachDatabase, type TestDatabase } from '../../support/databases.ts'
import { install, issuedGrant, lease, ONE } from '../issued-grants.ts'

const AT = 10_000
const FAILURE = {
  state: 'backing-off',
  stateSince: AT,
  stateReason: 'HighLevel was away',
  failures: 1,
  dueAt: AT + 5_000,
  triedAt: AT,
  intentAt: null
} as const

async function openWithGrant({ open }: TestDatabase) {
  const vault = await open()
  await vault.installGrant(issuedGrant('a', { dueAt: AT }), install(1))
  return vault
}

onEachDatabase(
  t,
  'a claim commits lease and intent, and no one else can claim while the lease runs',
  async (t, database) => {
    const vault = await openWithGrant(database)
    const other = await database.open()

    const claimed = await vault.claimGrant(ONE, 1, lease('me', AT))
    const refused = [
      await other.claimGrant(ONE, 1, lease('you', AT + 7_999)),
      await other.claimDue(lease('you', AT + 7_999)),
      await vault.claimGrant(ONE, 1, lease('me', AT + 1))
    ]

    t.match(claimed, {
      generation: 1,
      intentAt: AT,
      leaseOwner: 'me',
      leaseUntil: AT + 8_000,
      tokens: { accessToken: 'a' }
    })
    t.match(await other.loadGrant(ONE), { intentAt: AT, leaseOwner: 'me', leaseUntil: AT + 8_000 })
    t.strictSame(refused, [undefined, undefined, undefined])
  }
)

onEachDatabase(t, 'of many concurrent claims exactly one gets the lease', async (t, database) => {
  const vault = await openWithGrant(database)
  const others = [vault, await database.open(), await database.open()]

  const claims = await Promise.all(
    Array.from({ length: 30 }, (_, n) => {
      const claimant = others[n % others.length] ?? vault
      return n % 2 === 0 ? claimant.claimDue(lease(`${n}`, AT)) : claimant.claimGrant(ONE, 1, lease(`${n}`, AT))
    })
  )

  t.equal(claims.filter((claim) => claim !== undefined).length, 1)
})

onEachDatabase(t, 'an expired lease is taken over, and the intent of its owner is remembered', async (t, database) => {
  const vault = await openWithGrant(database)
  await vault.claimGrant(ONE, 1, lease('dead', AT))

  const swept = await vault.claimDue(lease('next', AT + 8_000))

  t.match(swept, {
    leaseOwner: 'next',
    leaseUntil: AT + 16_000,
    intentAt: AT + 8_000,
    priorIntentAt: AT
  })
})

onEachDatabase(t, 'only its owner can extend a lease', async (t, database) => {
  const vault = await openWithGrant(database)
  await vault.claimGrant(ONE, 1, lease('me', AT))

  const extended = [await vault.extendLease(ONE, 'me', AT + 20_000), await vault.extendLease(ONE, 'you', AT + 90_000)]

  t.strictSame(extended, [true, false])
  t.equal(await vault.claimDue(lease('you', AT + 19_999)), undefined)
  t.match(await vault.claimDue(lease('you', AT + 20_000)), { leaseOwner: 'you' })
  t.equal(await vault.extendLease(ONE, 'me', AT + 90_000), false)
})

onEachDatabase(
  t,
  'tokens of the current generation are saved without the lease, and end the lease and intent of others',
  async (t, database) => {
    const vault = await openWithGrant(database)
    await vault.claimGrant(ONE, 1, lease('me', AT))
    await vault.claimGrant(ONE, 1, lease('you', AT + 8_000))

    const saved = await vault.saveIssued(issuedGrant('mine'), 1)
    const yours = [await vault.saveIssued(issuedGrant('yours'), 1), await vault.recordFailure(ONE, 1, 'you', FAILURE)]

    t.strictSame([saved, ...yours], [true, false, false])
    t.match(await vault.loadGrant(ONE), {
      generation: 2,
      tokens: { accessToken: 'mine' },
      leaseOwner: null,
      leaseUntil: null,
      intentAt: null,
      dueAt: 1_800
    })
  }
)

onEachDatabase(
  t,
  'a failure keeps the generation, so tokens that arrive late can still be saved',
  async (t, database) => {
    const vault = await openWithGrant(database)
    await vault.claimGrant(ONE, 1, lease('me', AT))
    const end = { ...FAILURE, state: 'reconnect-required', dueAt: null } as const

    const recorded = await vault.recordFailure(ONE, 1, 'me', end)
    const ended = await vault.loadGrant(ONE)
    const claims = [await vault.claimGrant(ONE, 1, lease('you', AT)), await vault.claimDue(lease('you', AT + 1e9))]
    const late = await vault.saveIssued(issuedGrant('late'), 1)

    t.equal(recorded, true)
    t.match(ended, { generation: 1, ...end, tokens: { accessToken: 'a' }, leaseOwner: null, intentAt: null })
    t.strictSame(claims, [undefined, undefined])
    t.equal(late, true)
    t.match(await vault.loadGrant(ONE), {
      generation: 2,
      state: 'connected',
      failures: 0,
      triedAt: null,
      stateReason: null
    })
  }
)

onEachDatabase(t, 'an owner that has lost the lease cannot record a failure', async (t, database) => {
  const vault = await openWithGrant(database)
  await vault.claimGrant(ONE, 1, lease('me', AT))
  await vault.claimGrant(ONE, 1, lease('you', AT + 8_000))

  t.equal(await vault.recordFailure(ONE, 1, 'me', FAILURE), false)
  t.match(await vault.loadGrant(ONE), { state: 'connected', leaseOwner: 'you' })
})

onEachDatabase(
  t,
  'due grants are claimed in the order of their due times, each once, and no grant that is not due',
  async (t, database) => {
    const [vault, other] = [await database.open(), await database.open()]
    for (const [id, dueAt] of [
      ['c', 3],
      ['a', 1],
      ['later', AT + 1],
      ['never', null],
      ['b', 2]
    ] as const)
      await vault.installGrant(issuedGrant(id, { subject: `location:${id}`, dueAt }), install(1))
    await vault.markUninstalled('location:c', 'gone', 1)

    const claims = [
      await vault.claimDue(lease('1', AT)),
      await other.claimDue(lease('2', AT)),
      await vault.claimDue(lease('3', AT))
    ]

    t.strictSame(
      claims.map((claim) => claim?.subject),
      ['location:a', 'location:b', undefined]
    )
  }
)

onEachDatabase(
  t,
  'a token can be verified, and a refused private token is shown as such until it is accepted again',
  async (t, database) => {
    const vault = await database.open()
    await vault.installGrant(issuedGrant('a', { verified: false }), install(1))
    await vault.installGrant(issuedGrant('p', { subject: 'location:pit', kind: 'private' }), install(1))

    await vault.markVerified(ONE, 1, AT)
    await vault.markRefused('location:pit', 1, AT)
    await vault.markRefused(ONE, 1, AT)
    const refused = await vault.loadGrant('location:pit')
    await vault.markVerified('location:pit', 1, AT + 5)

    t.match(await vault.loadGrant(ONE), { verified: true, state: 'connected', stateSince: 1_000 })
    t.match(refused, { verified: false, state: 'reconnect-required', stateSince: AT, stateReason: /refuses/ })
    t.match(await vault.loadGrant('location:pit'), {
      verified: true,
      state: 'connected',
      stateSince: AT + 5,
      stateReason: null
    })
  }
)

onEachDatabase(
  t,
  'renewals with an unknown outcome are claimed ahead of other due grants, while their time lasts',
  async (t, database) => {
    const vault = await database.open()
    for (let n = 0; n < 20; n += 1)
      await vault.installGrant(issuedGrant(`${n}`, { subject: `location:due${n}`, dueAt: n }), install(1))
    for (const [id, at] of [
      ['old', AT - 40_000],
      ['late', AT - 9_000],
      ['early', AT - 20_000]
    ] as const) {
      await vault.installGrant(issuedGrant(id, { subject: `location:${id}`, dueAt: at }), install(1))
      await vault.claimGrant(`location:${id}`, 1, lease('dead', at))
    }
    await vault.claimGrant('location:due3', 1, lease('alive', AT))

    const claims = []
    for (let n = 0; n < 3; n += 1) claims.push(await vault.claimUnknownOutcome(lease(`rescue${n}`, AT), AT - 30_000))

    t.strictSame(
      claims.map((claim) => claim?.subject),
      ['location:early', 'location:late', undefined]
    )
  }
)

onEachDatabase(
  t,
  'a recorded failure with an unknown outcome is claimed again once its pause is over',
  async (t, database) => {
    const vault = await openWithGrant(database)
    await vault.claimGrant(ONE, 1, lease('me', AT))

    await vault.recordFailure(ONE, 1, 'me', { ...FAILURE, dueAt: AT + 700, intentAt: AT })

    t.equal(await vault.claimUnknownOutcome(lease('you', AT + 600), AT - 30_000), undefined)
    t.match(await vault.claimUnknownOutcome(lease('you', AT + 700), AT - 29_000), {
      intentAt: AT + 700,
      priorIntentAt: AT
    })
  }
)

onEachDatabase(
  t,
  'a mint is not claimed as an unknown outcome, because it has no refresh token to lose',
  async (t, database) => {
    const vault = await database.open()
    await vault.installGrant(issuedGrant('m', { subject: 'location:minted', kind: 'minted', dueAt: 1 }), install(1))
    await vault.claimGrant('location:minted', 1, lease('dead', AT - 20_000))

    t.equal(await vault.claimUnknownOutcome(lease('rescue', AT), AT - 30_000), undefined)
    t.match(await vault.claimDue(lease('due', AT)), { subject: 'location:minted' })
  }
)
