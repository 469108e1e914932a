-- Shared by every script of the answer cache; prepended to it. KEYS[1] is what all its keys begin with, hash tag included, so that
-- one node holds them all. Its numbers are milliseconds by the server's clock.
local P = KEYS[1]
local USED, ENDS = P .. ':used', P .. ':ends'
local TIME = redis.call('TIME')
local NOW = TIME[1] * 1000 + math.floor(TIME[2] / 1000)

local function number(value) return string.format('%.0f', value) end
local function answer(key) return P .. ':answer:' .. key end
local function lease(key) return P .. ':lease:' .. key end
local function outcome(token) return P .. ':outcome:' .. token end
local function held(key, token) return token ~= '' and redis.call('GET', lease(key)) == token end
