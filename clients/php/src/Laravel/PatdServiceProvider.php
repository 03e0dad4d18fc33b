<?php

declare(strict_types=1);

namespace Patd\Laravel;

use Illuminate\Support\ServiceProvider;
use Patd\Client;

/** Registers the driver `patd` of guards and the middleware `patd`. The settings are `services.patd`. */
final class PatdServiceProvider extends ServiceProvider
{
    public function register(): void
    {
        $this->app->singleton(Client::class, static function ($app) {
            $settings = $app['config']['services.patd'];
            return new Client($settings['url'], $settings['token'], timeout: (float) ($settings['timeout'] ?? 2.0));
        });
    }

    public function boot(): void
    {
        $this->app['auth']->extend('patd', static function ($app, string $name, array $config) {
            $provider = isset($config['provider']) ? $app['auth']->createUserProvider($config['provider']) : null;
            $guard = new PatdGuard($app->make(Client::class), $app['request'], $provider, $config['accept_sessions'] ?? false);
            $app->refresh('request', $guard, 'setRequest');
            return $guard;
        });
        if ($this->app->bound('router')) {
            $this->app['router']->aliasMiddleware('patd', RequireToken::class);
        }
    }
}
