import t from 'tap'
import { onEachDatabase } from '../../support/databases.ts'
import { install, issuedGrant, lease, mintOptions, ONE } from '../issued-grants.ts'

const AT = 1_500

onEachDatabase(t, 'a grant is loaded as it was installed, connected and without a lease', async (t, { open }) => {
  const vault = await open()
  const company = issuedGrant('b', { subject: 'company:two', companyId: null })
  const bare = issuedGrant('c', { subject: 'location:bare', kind: 'minted', tokens: null, dueAt: null })
  const fixed = issuedGrant('d', {
    subject: 'location:fixed',
    tokens: { accessToken: 'd', expiresAt: null, issuedAt: 1 }
  })

  for (const one of [issuedGrant('a'), company, bare, fixed]) {
    await vault.installGrant(one, install(AT))
    t.strictSame(await vault.loadGrant(one.subject), {
      ...one,
      generation: 1,
      state: 'connected',
      stateReason: null,
      failures: 0,
      triedAt: null,
      intentAt: null,
      priorIntentAt: null,
      leaseOwner: null,
      leaseUntil: null,
      uninstallReportedAt: null
    })
  }
  t.equal(await vault.loadGrant('location:unknown'), undefined)
})

onEachDatabase(t, 'of two saves of one generation one succeeds, and the other changes nothing', async (t, { open }) => {
  const vault = await open()
  await vault.installGrant(issuedGrant('a'), install(AT))

  const outcomes = await Promise.all([vault.saveIssued(issuedGrant('b'), 1), vault.saveIssued(issuedGrant('c'), 1)])

  t.strictSame([...outcomes].sort(), [false, true])
  const winner = outcomes[0] ? 'b' : 'c'
  t.match(await vault.loadGrant(ONE), { generation: 2, tokens: { accessToken: winner } })
  t.strictSame(
    [await vault.saveIssued(issuedGrant('d'), 1), await vault.saveIssued(issuedGrant('d'), 3)],
    [false, false]
  )
})

onEachDatabase(
  t,
  'an install replaces the current grant, and a save of the replaced generation is rejected',
  async (t, database) => {
    const [one, two] = [await database.open(), await database.open()]
    await one.installGrant(issuedGrant('a'), install(AT))
    await one.claimGrant(ONE, 1, lease('me', 100))

    await two.installGrant(issuedGrant('b'), install(AT))

    t.equal(await one.saveIssued(issuedGrant('c'), 1), false)
    t.match(await one.loadGrant(ONE), { generation: 2, tokens: { accessToken: 'b' }, leaseOwner: null, intentAt: null })
  }
)

onEachDatabase(
  t,
  'an uninstalled grant has no tokens, says why, and is not restored by a save in progress',
  async (t, database) => {
    const vault = await database.open()
    await vault.installGrant(issuedGrant('a'), install(AT))
    await vault.claimGrant(ONE, 1, lease('me', 100))

    const uninstalled = await vault.markUninstalled(ONE, 'a person did', AT + 1)
    const late = await vault.saveIssued(issuedGrant('b'), 1)
    const again = [
      await vault.markUninstalled(ONE, 'twice', AT + 2),
      await vault.markUninstalled('location:two', 'never', AT)
    ]

    t.strictSame([uninstalled, late, ...again], [true, false, false, false])
    t.match(await vault.loadGrant(ONE), {
      generation: 2,
      tokens: null,
      state: 'uninstalled',
      stateSince: AT + 1,
      stateReason: 'a person did',
      dueAt: null,
      leaseOwner: null
    })
    t.strictSame(await database.sql('select sealed, key_id, expires_at from grants'), [
      { sealed: null, key_id: null, expires_at: null }
    ])
  }
)

onEachDatabase(t, 'an uninstall from before the current install changes nothing', async (t, { open }) => {
  const vault = await open()
  await vault.installGrant(issuedGrant('a'), install(AT))

  t.equal(await vault.markUninstalled(ONE, 'late news', AT - 1), false)
  t.match(await vault.loadGrant(ONE), { generation: 1, state: 'connected', tokens: { accessToken: 'a' } })
})

onEachDatabase(
  t,
  'a minted location is added unless it has working tokens or was uninstalled later',
  async (t, { open }) => {
    const vault = await open()
    const own = issuedGrant('own', { subject: 'location:own' })
    const dead = issuedGrant('dead', { subject: 'location:dead' })
    const gone = issuedGrant('gone', { subject: 'location:gone' })
    for (const one of [own, dead, gone]) await vault.installGrant(one, install(AT))
    await vault.claimGrant('location:dead', 1, lease('me', 100))
    const failure = {
      state: 'reconnect-required',
      stateSince: 1,
      stateReason: '',
      failures: 1,
      dueAt: null,
      triedAt: 1,
      intentAt: null
    } as const
    await vault.recordFailure('location:dead', 1, 'me', failure)
    await vault.markUninstalled('location:gone', 'left', AT + 10)

    const outcomes = []
    for (const id of ['new', 'own', 'dead', 'gone'])
      outcomes.push(await vault.addMintedLocation(id, 'company2', AT + 5, mintOptions({ dueAt: 7 })))

    t.strictSame(outcomes, [true, false, true, false])
    const minted = { kind: 'minted', companyId: 'company2', tokens: null, state: 'connected', dueAt: 7 }
    t.match(await vault.loadGrant('location:new'), { ...minted, generation: 1 })
    t.match(await vault.loadGrant('location:dead'), { ...minted, generation: 2, failures: 0 })
    t.match(await vault.loadGrant('location:own'), { kind: 'oauth', companyId: 'company1' })
    t.equal(await vault.addMintedLocation('gone', 'company2', AT + 11, mintOptions()), true)
  }
)

onEachDatabase(
  t,
  'an install is saved once, and a repeated one gives way to what happened after it',
  async (t, { open }) => {
    const vault = await open()
    const first = install(AT)
    await vault.installGrant(issuedGrant('a'), first)
    await vault.saveIssued(issuedGrant('renewed'), 1)
    await vault.installGrant(issuedGrant('a'), { ...first, isRepeated: true })
    const renewed = await vault.loadGrant(ONE)
    await vault.markUninstalled(ONE, 'left', AT + 1)
    await vault.installGrant(issuedGrant('a'), { ...first, isRepeated: true })
    const uninstalled = await vault.loadGrant(ONE)
    await vault.installGrant(issuedGrant('b'), install(AT + 5))
    await vault.installGrant(issuedGrant('c'), install(AT + 4, { isRepeated: true }))
    const newer = await vault.loadGrant(ONE)
    await vault.installGrant(issuedGrant('d'), install(AT + 4))

    t.match(renewed, { generation: 2, tokens: { accessToken: 'renewed' } })
    t.match(uninstalled, { state: 'uninstalled', tokens: null })
    t.match(newer, { tokens: { accessToken: 'b' } })
    t.match(
      await vault.loadGrant(ONE),
      { tokens: { accessToken: 'd' } },
      'clocks may differ: a first attempt always counts as newest'
    )
  }
)

onEachDatabase(t, 'a repeated install replaces a location that only waits for its company', async (t, { open }) => {
  const vault = await open()
  await vault.addMintedLocation('one', 'company1', AT + 9, mintOptions({ waitsForCompany: true }))

  await vault.installGrant(issuedGrant('a'), install(AT, { isRepeated: true }))

  t.match(await vault.loadGrant(ONE), { kind: 'oauth', tokens: { accessToken: 'a' } })
})

onEachDatabase(t, 'an uninstall is remembered even for a location that was never added', async (t, { open }) => {
  const vault = await open()
  await vault.recordUninstall(ONE, AT)
  await vault.recordUninstall(ONE, AT + 20)
  await vault.recordUninstall(ONE, AT + 10)

  const late = await vault.addMintedLocation('one', 'company1', AT + 15, mintOptions())
  const anew = await vault.addMintedLocation('one', 'company1', AT + 25, mintOptions())
  await vault.recordUninstall(ONE, AT + 30)

  t.strictSame([late, anew], [false, true])
  t.match(await vault.loadGrant(ONE), { state: 'connected' }, 'recording an uninstall does not end a grant')
})

onEachDatabase(t, 'rescheduling a company makes its waiting locations due, and no others', async (t, { open }) => {
  const vault = await open()
  await vault.addMintedLocation('waiting', 'company1', AT, mintOptions({ waitsForCompany: true }))
  await vault.addMintedLocation('elsewhere', 'company2', AT, mintOptions({ waitsForCompany: true }))
  await vault.addMintedLocation('lazy', 'company1', AT, mintOptions())
  await vault.installGrant(issuedGrant('a', { subject: 'location:own' }), install(AT))
  await vault.installGrant(issuedGrant('m', { subject: 'location:minted', kind: 'minted' }), install(AT))
  const due = async (id: string) => (await vault.loadGrant(`location:${id}`))?.dueAt

  await vault.rescheduleCompany('company1', 41, ['another reason'])
  const none = await due('waiting')
  await vault.rescheduleCompany('company1', 42)

  t.equal(none, null)
  t.strictSame(
    [await due('waiting'), await due('elsewhere'), await due('lazy'), await due('own'), await due('minted')],
    [42, null, null, 1_800, 1_800]
  )
})

onEachDatabase(
  t,
  'uninstalling a company also uninstalls the locations minted from it, and no others',
  async (t, { open }) => {
    const vault = await open()
    await vault.installGrant(issuedGrant('c', { subject: 'company:company1' }), install(AT))
    await vault.installGrant(issuedGrant('m', { subject: 'location:minted', kind: 'minted' }), install(AT))
    await vault.installGrant(issuedGrant('o', { subject: 'location:own' }), install(AT))
    await vault.addMintedLocation('other', 'company2', AT, mintOptions())

    t.equal(await vault.markCompanyUninstalled('company1', 'gone', AT + 1), 2)

    const state = async (subject: `location:${string}` | `company:${string}`) => (await vault.loadGrant(subject))?.state
    t.strictSame(
      [
        await state('company:company1'),
        await state('location:minted'),
        await state('location:own'),
        await state('location:other')
      ],
      ['uninstalled', 'uninstalled', 'connected', 'connected']
    )
  }
)

onEachDatabase(
  t,
  'locations are listed in pages ordered by id, filtered by state, and without tokens',
  async (t, { open }) => {
    const vault = await open()
    for (const subject of ['location:b', 'company:c', 'location:a', 'location:d'] as const)
      await vault.installGrant(issuedGrant('secret', { subject }), install(AT))
    await vault.markUninstalled('location:d', 'gone', AT)

    const first = await vault.listLocations({ limit: 2 })
    const second = await vault.listLocations({ limit: 2, after: 'b' })
    const gone = await vault.listLocations({ limit: 2, state: 'uninstalled' })

    t.match(first, [{ subject: 'location:a', expiresAt: 2_000 }, { subject: 'location:b' }])
    t.match(second, [{ subject: 'location:d', state: 'uninstalled', expiresAt: null }])
    t.strictSame([second.length, gone.length], [1, 1])
    t.notMatch(JSON.stringify(first), 'secret')
  }
)

onEachDatabase(t, 'grants are counted by state, with the earliest due time', async (t, { open }) => {
  const vault = await open()
  t.strictSame(await vault.countGrants(), { states: [], oldestDueAt: null })
  for (const [id, dueAt] of [
    ['a', 30],
    ['b', 10],
    ['c', null]
  ] as const)
    await vault.installGrant(issuedGrant(id, { subject: `location:${id}`, dueAt }), install(AT))
  await vault.markUninstalled('location:a', 'gone', AT)

  const { states, oldestDueAt } = await vault.countGrants()

  t.strictSame(
    new Set(states.map(({ state, count }) => `${state} ${count}`)),
    new Set(['connected 2', 'uninstalled 1'])
  )
  t.equal(oldestDueAt, 10)
})

onEachDatabase(
  t,
  'an API key is found only by its hash, and neither its id nor its hash can be added twice',
  async (t, { open, clock }) => {
    const vault = await open()
    const one = { id: 'key_1', name: 'One', hash: 'hash-1', locations: ['a', 'b'] }
    await vault.addKey(one)
    clock.move(1)
    await vault.addKey({ id: 'key_0', name: 'Two', hash: 'hash-2', locations: ['*'] })

    await t.rejects(vault.addKey({ ...one, hash: 'hash-3' }))
    await t.rejects(vault.addKey({ ...one, id: 'key_3' }))

    t.strictSame(await vault.findKey('hash-1'), { ...one, createdAt: clock.now() - 1, revokedAt: null })
    t.strictSame([await vault.findKey('key_1'), await vault.findKey('HASH-1')], [undefined, undefined])
    t.match(await vault.listKeys(), [{ id: 'key_1' }, { id: 'key_0' }])
  }
)

onEachDatabase(
  t,
  'a revoked key keeps the time of its first revocation, and an unknown id is reported',
  async (t, { open, clock }) => {
    const vault = await open()
    await vault.addKey({ id: 'key_1', name: 'One', hash: 'hash-1', locations: ['*'] })
    const revokedAt = clock.now()

    const first = await vault.revokeKey('key_1')
    clock.move(5_000)
    const outcomes = [first, await vault.revokeKey('key_1'), await vault.revokeKey('key_2')]

    t.strictSame(outcomes, [true, true, false])
    t.match(await vault.findKey('hash-1'), { revokedAt })
  }
)

onEachDatabase(t, 'a webhook is known once it was added, and deleted when it is old', async (t, { open, clock }) => {
  const vault = await open()
  await vault.addWebhook('one', 0)
  await vault.addWebhook('one', 0)
  clock.move(1_000)

  const known = [await vault.hasWebhook('one'), await vault.hasWebhook('two')]
  await vault.addWebhook('two', clock.now())

  t.strictSame([...known, await vault.hasWebhook('one'), await vault.hasWebhook('two')], [true, false, false, true])
})

onEachDatabase(t, 'a closed vault rejects a ping and a load', async (t, { open }) => {
  const vault = await open()
  await vault.ping()

  await vault.close()

  await t.rejects(vault.ping())
  await t.rejects(vault.loadGrant(ONE))
})
