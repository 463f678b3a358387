<?php
/**
 * As much of WordPress and WooCommerce as the plugin leans on, in memory.
 *
 * What ends a request there (a redirect, wp_die) is an exception here.
 */

namespace {

	const ABSPATH = __DIR__;

	class Refused extends Exception {}

	class Redirected extends Exception {}

	/** What the storefront is, and what happened to it. */
	class Storefront {
		public $cart;
		public $now            = 1000000000;
		public $currency       = 'EUR';
		public $decimals       = 2;
		public $headers        = array();
		public $notices        = array();
		public $products       = array();
		public $orders         = array();
		public $order_received = 0;
		public $compatible     = array();

		public static function get(): self {
			static $one = null;
			if ( null === $one ) {
				$one       = new self();
				$one->cart = new Cart();
			}
			return $one;
		}
	}

	/** A bag with a setter and a getter for every field, as WooCommerce's data objects have. */
	class Data {
		public $fields = array();
		public $meta   = array();

		public function __call( $name, $values ) {
			list( $verb, $field ) = explode( '_', $name, 2 );
			if ( 'set' === $verb ) {
				$this->fields[ $field ] = $values[0];
			}
			return $this->fields[ $field ] ?? null;
		}

		public function add_meta_data( $key, $value, $unique ) {
			$this->meta[ $key ] = $value;
		}

		public function get_meta( $key ) {
			return $this->meta[ $key ] ?? '';
		}
	}

	class WC_Product_Simple extends Data {
		public function save(): int {
			Storefront::get()->products[] = $this;
			return count( Storefront::get()->products );
		}
	}

	class Order extends Data {
		public $items = array();

		public function get_items(): array {
			return $this->items;
		}

		public function is_paid(): bool {
			return in_array( $this->get_status(), array( 'processing', 'completed' ), true );
		}
	}

	class Cart {
		public $contents = array();

		public function empty_cart() {
			$this->contents = array();
		}

		public function add_to_cart( $id, $quantity, $variation_id, $variation, $data ) {
			$product                = clone Storefront::get()->products[ $id - 1 ];
			$key                    = md5( serialize( array( $id, $data ) ) );
			$this->contents[ $key ] = array( 'quantity' => $quantity, 'data' => $product ) + $data;
			return $key;
		}

		public function get_cart_contents(): array {
			return $this->contents;
		}

		public function set_quantity( $key, $quantity, $refresh_totals ) {
			$this->contents[ $key ]['quantity'] = $quantity;
		}

		public function remove_cart_item( $key ) {
			unset( $this->contents[ $key ] );
		}
	}

	function WC(): Storefront {
		return Storefront::get();
	}

	function add_filter( $name, $function, $priority = 10, $arguments = 1 ) {
		$GLOBALS['filters'][ $name ][ $priority ][] = array( $function, $arguments );
	}

	function add_action( $name, $function, $priority = 10, $arguments = 1 ) {
		add_filter( $name, $function, $priority, $arguments );
	}

	function apply_filters( $name, ...$values ) {
		$functions = $GLOBALS['filters'][ $name ] ?? array();
		ksort( $functions );
		foreach ( array_merge( ...$functions ) as list( $function, $arguments ) ) {
			$values[0] = $function( ...array_slice( $values, 0, $arguments ) );
		}
		return $values[0];
	}

	function do_action( $name, ...$values ) {
		$functions = $GLOBALS['filters'][ $name ] ?? array();
		ksort( $functions );
		foreach ( array_merge( ...$functions ) as list( $function, $arguments ) ) {
			$function( ...array_slice( $values, 0, $arguments ) );
		}
	}

	function wp_die( $why, $title, $arguments ) {
		throw new Refused( $why, $arguments['response'] );
	}

	function wp_redirect( $url ) {
		throw new Redirected( $url );
	}

	function wp_safe_redirect( $url ) {
		throw new Redirected( $url );
	}

	function add_query_arg( $name, $value, $url ) {
		return $url . ( false === strpos( $url, '?' ) ? '?' : '&' ) . "$name=$value";
	}

	function wp_unslash( $value ) {
		return is_string( $value ) ? stripslashes( $value ) : $value;
	}

	function esc_html( $text ) {
		return htmlspecialchars( $text, ENT_QUOTES );
	}

	function esc_url( $url ) {
		return htmlspecialchars( $url, ENT_QUOTES );
	}

	function __( $text, $domain ) {
		return $text;
	}

	function absint( $value ) {
		return abs( (int) $value );
	}

	function nocache_headers() {
		Storefront::get()->headers[] = 'Cache-Control: no-store';
	}

	function wc_get_product_id_by_sku( $sku ) {
		foreach ( Storefront::get()->products as $place => $product ) {
			if ( $product->get_sku() === $sku ) {
				return $place + 1;
			}
		}
		return 0;
	}

	function get_woocommerce_currency() {
		return Storefront::get()->currency;
	}

	function wc_get_price_decimals() {
		return Storefront::get()->decimals;
	}

	function wc_get_cart_url() {
		return 'https://store.example/cart/';
	}

	function wc_get_checkout_url() {
		return 'https://store.example/checkout/';
	}

	function wc_add_notice( $text, $kind ) {
		Storefront::get()->notices[] = "$kind: $text";
	}

	function is_order_received_page() {
		return 0 !== Storefront::get()->order_received;
	}

	function get_query_var( $name ) {
		return 'order-received' === $name ? (string) Storefront::get()->order_received : '';
	}

	function wc_get_order( $id ) {
		return Storefront::get()->orders[ $id ] ?? false;
	}
}

namespace Automattic\WooCommerce\Utilities {

	class FeaturesUtil {
		public static function declare_compatibility( $feature, $file, $compatible ) {
			\Storefront::get()->compatible[ $feature ] = $compatible;
		}
	}
}

// PHP looks here first when the plugin calls these.
namespace Bridge\Deposits {

	function header( $line ) {
		\Storefront::get()->headers[] = $line;
	}

	function time() {
		return \Storefront::get()->now;
	}
}
