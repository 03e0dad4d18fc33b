<?php

declare(strict_types=1);

use Illuminate\Auth\AuthManager;
use Illuminate\Auth\GenericUser;
use Illuminate\Config\Repository;
use Illuminate\Container\Container;
use Illuminate\Contracts\Auth\UserProvider;
use Illuminate\Events\Dispatcher;
use Illuminate\Http\Request;
use Illuminate\Routing\Router;
use Illuminate\Support\Facades\Facade;
use Patd\Laravel\HasToken;
use Patd\Laravel\PatdServiceProvider;
use Patd\Laravel\RequireToken;
use PHPUnit\Framework\TestCase;
use Symfony\Component\HttpKernel\Exception\HttpException;

require_once __DIR__ . '/Servers.php';
foreach (['Auth', 'Config', 'Container', 'Events', 'Http', 'Routing', 'Support'] as $component) {
    require_once "Illuminate/$component/autoload.php";
}

/** With the components of Laravel that a request passes. */
final class LaravelTest extends TestCase
{
    private static Server $patd;
    private Container $app;

    public static function setUpBeforeClass(): void
    {
        self::$patd = new Server();
        ini_set('error_log', '/dev/null');
    }

    public static function tearDownAfterClass(): void
    {
        self::$patd->close();
    }

    protected function setUp(): void
    {
        $this->install(self::$patd->demo['url'], self::$patd->demo['introspect_token']);
    }

    /** @param array<string, mixed> $guard */
    private function install(string $url, string $token, array $guard = []): void
    {
        $this->app = $app = new Container();
        Container::setInstance($app);
        Facade::clearResolvedInstances();
        Facade::setFacadeApplication($app);
        $app->instance('config', new Repository([
            'auth' => ['defaults' => ['guard' => 'web'], 'guards' => ['patd' => ['driver' => 'patd'] + $guard]],
            'services' => ['patd' => ['url' => $url, 'token' => $token, 'timeout' => 0.5]],
        ]));
        $app->singleton('auth', static fn ($app) => new AuthManager($app));
        $app->alias('auth', \Illuminate\Contracts\Auth\Factory::class);
        $app->instance('router', new Router(new Dispatcher($app), $app));
        $app->instance('request', new Request());
        $app->alias('request', Request::class);
        $app->bind(RequireToken::class, static fn ($app) => new RequireToken($app['auth']));
        $provider = new PatdServiceProvider($app);
        $provider->register();
        $provider->boot();
    }

    private function request(?string $authorization, string $address = '192.0.2.7'): Request
    {
        $request = Request::create('/calls', 'GET', server: ['REMOTE_ADDR' => $address]);
        if ($authorization !== null) {
            $request->headers->set('Authorization', $authorization);
        }
        $request->setUserResolver(fn ($guard = null) => $this->app['auth']->guard($guard)->user());
        $this->app->instance('request', $request);
        return $request;
    }

    /** Runs the route of the README. */
    private function get(?string $authorization, string $address = '192.0.2.7'): Symfony\Component\HttpFoundation\Response
    {
        preg_match_all('/^```php\n(.*?)^```$/ms', file_get_contents(__DIR__ . '/../README.md'), $examples);
        $this->assertCount(2, $examples[1]);
        eval($examples[1][1]);
        return $this->app['router']->dispatch($this->request($authorization, $address));
    }

    private function code(Symfony\Component\HttpFoundation\Response $response): string
    {
        return json_decode($response->getContent(), true)['code'];
    }

    public function testTheCheckOfTheReadme(): void
    {
        preg_match('/^```php\n(.*?)^```$/ms', file_get_contents(__DIR__ . '/../README.md'), $example);
        putenv('PATD_URL=' . self::$patd->demo['url']);
        putenv('PATD_INTROSPECT_TOKEN=' . self::$patd->demo['introspect_token']);
        eval($example[1]);
        $tokens = [self::$patd->createToken(['calls:read'])['secret'], self::$patd->createToken([])['secret'], 'x'];
        $this->assertSame([200, 403, 401], array_map(fn ($token) => may_read_calls($patd, $token, '192.0.2.7'), $tokens));
        $this->assertSame(503, may_read_calls($patd, $tokens[0], 'no address'));
    }

    public function testAValidTokenPasses(): void
    {
        $secret = self::$patd->createToken(['calls:read'])['secret'];
        foreach (["Bearer $secret", "bearer  $secret"] as $authorization) {
            $response = $this->get($authorization);
            $this->assertSame(200, $response->getStatusCode());
            $expected = ['owner' => self::$patd->demo['user_id'], 'writes' => false];
            $this->assertSame($expected, json_decode($response->getContent(), true));
        }
        $all = self::$patd->createToken(['calls:*'])['secret'];
        $this->assertStringContainsString('"writes":true', $this->get("Bearer $all")->getContent());
    }

    public function testTheNextRequestIsCheckedAgain(): void
    {
        $token = self::$patd->createToken(['calls:read']);
        $this->assertSame(200, $this->get("Bearer {$token['secret']}")->getStatusCode());
        self::$patd->revoke($token);
        $this->assertSame(401, $this->get("Bearer {$token['secret']}")->getStatusCode());
        $this->assertSame(401, $this->get(null)->getStatusCode());
    }

    public function testRefusals(): void
    {
        foreach ([null, '', 'Bearer', 'Bearer ', 'Basic dTpw', 'pat_x'] as $authorization) {
            $response = $this->get($authorization);
            $this->assertSame([401, 'Bearer'], [$response->getStatusCode(), $response->headers->get('WWW-Authenticate')]);
        }
        $here = self::$patd->createToken(['calls:read'], ['ip_allowlist' => ['192.0.2.7']])['secret'];
        $this->assertSame(200, $this->get("Bearer $here")->getStatusCode());
        $expired = self::$patd->expired();
        $refused = [["Bearer $here", '192.0.2.8'], ["Bearer $here", 'a socket'], ['Bearer x', '192.0.2.7'], ["Bearer $expired", '192.0.2.7']];
        foreach ($refused as [$authorization, $address]) {
            $response = $this->get($authorization, $address);
            $challenge = $response->headers->get('WWW-Authenticate');
            $this->assertSame([401, 'Bearer error="invalid_token"'], [$response->getStatusCode(), $challenge]);
        }
        $writes = self::$patd->createToken(['calls:write'])['secret'];
        $response = $this->get("Bearer $writes");
        $this->assertSame([403, 'missing_ability'], [$response->getStatusCode(), $this->code($response)]);
        $challenge = 'Bearer error="insufficient_scope", scope="calls:read"';
        $this->assertSame($challenge, $response->headers->get('WWW-Authenticate'));
        foreach (['requests_per_minute' => 'too_many_attempts', 'quota' => 'quota_exceeded'] as $limit => $code) {
            $secret = self::$patd->createToken(['calls:read'], [$limit => 1])['secret'];
            $this->assertSame(200, $this->get("Bearer $secret")->getStatusCode());
            $response = $this->get("Bearer $secret");
            $this->assertSame([429, $code], [$response->getStatusCode(), $this->code($response)]);
        }
    }

    public function testASessionPassesOnlyWhereItIsAccepted(): void
    {
        $session = 'Bearer ' . self::$patd->demo['session_token'];
        $this->assertSame('wrong_kind', $this->code($this->get($session)));
        $this->install(self::$patd->demo['url'], self::$patd->demo['introspect_token'], ['accept_sessions' => true]);
        $this->assertSame(200, $this->get($session)->getStatusCode());
    }

    public function testWhatCannotBeKnownIsA503(): void
    {
        $secret = self::$patd->createToken(['calls:read'])['secret'];
        foreach (['http://127.0.0.1:1', self::$patd->demo['url']] as $url) {
            $this->install($url, 'own');
            $response = $this->get("Bearer $secret");
            $this->assertSame([503, 'undecided'], [$response->getStatusCode(), $this->code($response)]);
            $this->assertSame(['1', null], [$response->headers->get('Retry-After'), $response->headers->get('WWW-Authenticate')]);
            $this->request("Bearer $secret");
            try {
                $this->app['auth']->guard('patd')->user();
                $this->fail('the guard took an outage for a refusal');
            } catch (HttpException $error) {
                $this->assertSame(503, $error->getStatusCode());
            }
        }
    }

    public function testTheGuardAloneWorksLikeThatOfSanctum(): void
    {
        $secret = self::$patd->createToken(['calls:*'])['secret'];
        $this->request("Bearer $secret");
        $user = $this->app['auth']->guard('patd')->user();
        $this->assertSame(self::$patd->demo['user_id'], $user->getAuthIdentifier());
        $this->assertSame([true, false, true], [$user->tokenCan('calls:read'), $user->tokenCan('x'), $user->tokenCant('x')]);
        $this->assertSame(['calls:*'], $user->currentAccessToken()->abilities);
        $this->request('Bearer x');
        $this->assertTrue($this->app['auth']->guard('patd')->guest());
    }

    public function testAProviderFindsTheUserOfTheApplication(): void
    {
        $known = self::$patd->demo['user_id'];
        $this->app['auth']->provider('test', fn () => $this->createConfiguredMock(UserProvider::class, [
            'retrieveById' => new class (['id' => $known, 'name' => 'Mine']) extends GenericUser {
                use HasToken;
            },
        ]));
        $this->app['config']->set('auth.providers.users', ['driver' => 'test']);
        $this->app['config']->set('auth.guards.patd.provider', 'users');
        $secret = self::$patd->createToken(['calls:read'])['secret'];
        $this->request("Bearer $secret");
        $user = $this->app['auth']->guard('patd')->user();
        $this->assertSame(['Mine', true], [$user->name, $user->tokenCan('calls:read')]);
        $this->app['auth']->provider('test', fn () => $this->createConfiguredMock(UserProvider::class, ['retrieveById' => null]));
        $this->app['auth']->forgetGuards();
        $this->request("Bearer $secret");
        $this->assertNull($this->app['auth']->guard('patd')->user());
    }
}
