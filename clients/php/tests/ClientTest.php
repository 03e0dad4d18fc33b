<?php

declare(strict_types=1);

use Patd\Client;
use Patd\Token;
use Patd\Undecided;
use PHPUnit\Framework\TestCase;

require_once __DIR__ . '/Servers.php';

final class ClientTest extends TestCase
{
    /** No token of this client may show up anywhere. */
    private const OWN = 'pat_ownsecretownsecretownsecretownsecret12345678';
    private const DEAD_URL = 'http://127.0.0.1:1';

    private static Server $patd;
    /** @var list<FakeServer> */
    private array $fakes = [];

    public static function setUpBeforeClass(): void
    {
        self::$patd = new Server();
    }

    public static function tearDownAfterClass(): void
    {
        self::$patd->close();
    }

    protected function tearDown(): void
    {
        array_map(static fn (FakeServer $fake) => $fake->close(), $this->fakes);
    }

    private function fake(?string $answer): FakeServer
    {
        return $this->fakes[] = new FakeServer($answer);
    }

    private function undecided(Client $client, string $token = 'pat_presented'): string
    {
        try {
            $client->verify($token);
        } catch (Undecided $error) {
            return (string) $error;
        }
        $this->fail('it is a verdict');
    }

    public function testATokenIsAcceptedUntilItIsRevoked(): void
    {
        $client = self::$patd->client();
        $token = self::$patd->createToken(['calls:read'], ['metadata' => ['team' => 'payments']]);
        $verdict = $client->verify($token['secret'], ['calls:read']);
        $this->assertSame([true, 'valid', $token['id']], [$verdict->valid, $verdict->code, $verdict->token->id]);
        $this->assertSame(['team' => 'payments'], $verdict->token->metadata);
        $this->assertSame('demo@example.com', $verdict->owner['email']);
        self::$patd->revoke($token);
        $this->assertSame('revoked', $client->verify($token['secret'], ['calls:read'])->code);
    }

    public function testARefusalSaysWhy(): void
    {
        $client = self::$patd->client();
        $this->assertSame('expired', $client->verify(self::$patd->expired())->code);
        $secret = self::$patd->createToken(['calls:read'])['secret'];
        $verdict = $client->verify($secret, ['calls:read', 'calls:write']);
        $this->assertSame(['missing_ability', ['calls:read', 'calls:write'], ['calls:write']], [$verdict->code, $verdict->required, $verdict->missing]);
        foreach (['', 'x', 'pat_unknown', "p\xe4t\0"] as $token) {
            $this->assertSame('malformed', $client->verify($token)->code);
        }
        $here = self::$patd->createToken([], ['ip_allowlist' => ['192.0.2.0/24']])['secret'];
        $this->assertTrue($client->verify($here, [], '192.0.2.7')->valid);
        $this->assertSame('ip_not_allowed', $client->verify($here, [], '198.51.100.7')->code);
        $this->assertSame('ip_not_allowed', $client->verify($here)->code);
        foreach (['requests_per_minute' => 'rate_limited', 'quota' => 'quota_exceeded'] as $limit => $code) {
            $limited = self::$patd->createToken([], [$limit => 1])['secret'];
            $this->assertSame(['valid', $code], [$client->verify($limited)->code, $client->verify($limited)->code]);
        }
    }

    public function testACredentialOfTheClientThatIsRefusedSaysNothingAboutTheToken(): void
    {
        $secret = self::$patd->createToken(['*'])['secret'];
        foreach ([self::OWN => '(401)', $secret => '(403)'] as $own => $status) {
            $this->assertStringContainsString($status, $this->undecided(new Client(self::$patd->demo['url'], $own), $secret));
        }
    }

    /** @return array<string, array{string}> */
    public static function misbehaving(): array
    {
        return array_map(static fn (string $answer) => [$answer], [
            '500' => answer('500 Internal Server Error', '{}'),
            '503' => answer('503 Service Unavailable', '{}'),
            '429' => answer('429 Too Many Requests', '{}'),
            '401' => answer('401 Unauthorized', '{}'),
            '403' => answer('403 Forbidden', '{}'),
            'another success' => answer('203 Non-Authoritative', verdict()),
            'HTML' => answer('200 OK', '<html>Welcome to nginx</html>'),
            'an empty body' => answer('200 OK', ''),
            'truncated JSON' => answer('200 OK', substr(verdict(), 0, -9)),
            'deep JSON' => answer('200 OK', str_repeat('[', 100_000)),
            'too much' => answer('200 OK', str_repeat(' ', 2_000_000) . verdict()),
            'an early end' => "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 9999\r\n\r\n" . verdict(),
            'null' => answer('200 OK', 'null'),
            'no verdict' => answer('200 OK', '{"data":{}}'),
            'a text' => answer('200 OK', verdict(['valid' => 'true'])),
            'a contradiction' => answer('200 OK', verdict(['code' => 'revoked'])),
            'another contradiction' => answer('200 OK', verdict(['valid' => false])),
            'no token' => answer('200 OK', verdict(['token' => null])),
            'an expiry that is no text' => answer('200 OK', verdict(['token' => ['id' => '1', 'type' => '', 'abilities' => [], 'expires_at' => 1]])),
            'no HTTP' => str_repeat("220 mail.example.com ESMTP\r\n", 9),
        ]);
    }

    /** @dataProvider misbehaving */
    public function testWhatIsNoVerdictIsUndecided(string $answer): void
    {
        $fake = $this->fake($answer);
        $this->undecided(new Client($fake->url, self::OWN));
        $this->assertGreaterThan(0, $fake->requests());
    }

    public function testARedirectIsNotFollowed(): void
    {
        $elsewhere = $this->fake(answer('200 OK', verdict()));
        foreach (['301 Moved', '302 Found', '307 Temporary Redirect', '308 Permanent Redirect'] as $status) {
            $fake = $this->fake(answer($status, '', "Location: $elsewhere->url/api/v1/tokens/verify\r\n"));
            $this->assertStringContainsString('patd answered ' . substr($status, 0, 3), $this->undecided(new Client($fake->url, self::OWN)));
        }
        $this->assertSame(0, $elsewhere->connections());
    }

    public function testAServerThatIsDownOrSilentIsUndecided(): void
    {
        $this->assertStringContainsString('no answer', $this->undecided(new Client(self::DEAD_URL, self::OWN)));
        $silent = new Client($this->fake(null)->url, self::OWN, timeout: 0.2);
        $begun = hrtime(true);
        $this->assertStringContainsString('timed out', $this->undecided($silent));
        $this->assertLessThan(30e9, hrtime(true) - $begun);
    }

    public function testAConnectionIsUsedAgain(): void
    {
        $fake = $this->fake(answer('200 OK', verdict()));
        $client = new Client("$fake->url/patd/", self::OWN);
        for ($time = 0; $time < 20; $time++) {
            $this->assertTrue($client->verify('pat_x')->valid);
        }
        $this->assertSame([1, 20], [$fake->connections(), $fake->requests()]);
    }

    public function testNothingShowsTheCredentialOfTheClient(): void
    {
        $client = new Client(self::DEAD_URL, self::OWN);
        ob_start();
        var_dump($client);
        $shown = [ob_get_clean(), print_r($client, true), var_export($client, true), json_encode($client), $this->undecided($client)];
        foreach (['', self::OWN . "\n", self::OWN . ' x'] as $token) {
            try {
                new Client(self::DEAD_URL, $token);
            } catch (InvalidArgumentException $error) {
                $shown[] = (string) $error;
            }
        }
        $this->assertCount(8, $shown);
        $this->assertDoesNotMatchRegularExpression('/ownsecret/', implode($shown));
    }

    public function testAUrlThatIsNoneIsRefused(): void
    {
        $refused = 0;
        foreach (['', 'patd.example.com', 'ftp://h', 'http://', 'http://user:x@h', 'http://h?x=1', 'http://h#x'] as $url) {
            try {
                new Client($url, self::OWN);
            } catch (InvalidArgumentException) {
                $refused++;
            }
        }
        $this->assertSame(7, $refused);
    }

    /** A cache that keeps everything for ever. */
    private function cache(): object
    {
        return new class () {
            public array $entries = [];

            public function get(string $key): mixed
            {
                return $this->entries[$key][0] ?? null;
            }

            public function set(string $key, mixed $value, int $seconds): bool
            {
                $this->entries[$key] = [$value, $seconds];
                return true;
            }
        };
    }

    public function testACacheDoesNotOutlastAToken(): void
    {
        $cache = $this->cache();
        $token = ['id' => '1', 'type' => 'personal_access_token', 'abilities' => []];
        $answers = array_map(static fn ($expiry) => verdict(['token' => $token + ['expires_at' => $expiry]]), [
            'expired' => '2020-01-01T00:00:00Z', 'no time' => 'soon', 'valid' => gmdate('Y-m-d\TH:i:s\Z', time() + 3600),
        ]);
        foreach (['expired' => 2, 'no time' => 2, 'valid' => 1] as $kind => $requests) {
            $cache->entries = [];
            $fake = $this->fake(answer('200 OK', $answers[$kind]));
            $client = new Client($fake->url, self::OWN, cache: $cache, cacheMaxAge: 5);
            $this->assertTrue($client->verify('pat_x')->valid && $client->verify('pat_x')->valid);
            $this->assertSame([$requests, 2 - $requests], [$fake->requests(), count($cache->entries)], $kind);
        }
        // As if an hour had passed.
        $cache->entries = array_map(static fn ($entry) => [$answers['expired'], 5], $cache->entries);
        $this->assertTrue($client->verify('pat_x')->valid);
        $this->assertSame(2, $fake->requests());
    }

    public function testACacheIsOffByDefaultAndCostsTheExactness(): void
    {
        $cache = $this->cache();
        $cached = self::$patd->client(cache: $cache, cacheMaxAge: 5);
        $token = self::$patd->createToken(['calls:read']);
        $this->assertTrue($cached->verify($token['secret'], ['calls:read'])->valid);
        self::$patd->revoke($token);
        $this->assertSame('revoked', self::$patd->client()->verify($token['secret'], ['calls:read'])->code);
        $this->assertTrue($cached->verify($token['secret'], ['calls:read'])->valid, 'this is what the cache costs');
        $this->assertSame('revoked', $cached->verify($token['secret'])->code);
        $this->assertSame('revoked', $cached->verify($token['secret'], ['calls:read'], '::1')->code);
        $this->assertSame([5], array_column($cache->entries, 1));
        $this->assertStringNotContainsString($token['secret'], print_r($cache, true));
    }

    public function testAnAbilityCoversWhatItCoversInPatd(): void
    {
        $cases = [
            ['calls:read', 'calls:read', true], ['calls:read', 'calls:write', false], ['calls:*', 'calls:read:own', true],
            ['calls:*', 'calls', false], ['calls:*', 'calls:', false], ['*', 'calls:read', true], ['*', 'admin:read', false],
            ['tokens:*', 'tokens:introspect', false], ['admin:*', 'admin:read', true],
        ];
        foreach ($cases as [$held, $needed, $expected]) {
            $token = new Token(['id' => '1', 'type' => '', 'abilities' => ['x', $held]]);
            $this->assertSame([$expected, !$expected], [$token->can($needed), $token->cant($needed)], "$held, $needed");
        }
    }
}
