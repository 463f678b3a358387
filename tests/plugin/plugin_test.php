<?php
/**
 * What the plugin promises, one function each: plugin_test.php PLUGIN TEST < links.json
 *
 * The links are sealed by bridge itself; they expire at EXPIRES. Exit status 1 and a trace tell of a
 * broken promise.
 */

error_reporting( E_ALL );
set_error_handler(
	function ( $level, $message, $file, $line ) {
		throw new ErrorException( $message, 0, $level, $file, $line );
	}
);

require __DIR__ . '/stubs.php';
require $argv[1];
same( array(), $GLOBALS['filters']['template_redirect'] ?? array() ); // no WooCommerce, no pages
do_action( 'woocommerce_loaded' );

const EXPIRES = 1000000600;

function same( $expected, $found ): void {
	if ( $expected !== $found ) {
		throw new Exception( var_export( $found, true ) . ' is not ' . var_export( $expected, true ) );
	}
}

/** Follows a link; returns where it leads, or the status with which it is refused. */
function follow( $link ) {
	$_GET = array( 'bridge_deposit' => $link );
	try {
		do_action( 'template_redirect' );
	} catch ( Redirected $redirected ) {
		return $redirected->getMessage();
	} catch ( Refused $refused ) {
		return $refused->getCode();
	}
	return null;
}

/** The one line in the cart, its totals calculated. */
function line_in_cart(): array {
	do_action( 'woocommerce_before_calculate_totals', WC()->cart );
	same( 1, count( WC()->cart->contents ) );
	return current( WC()->cart->contents );
}

/** An order over a deposit, as the checkout makes it from the cart. */
function order_from_cart( string $status ): Order {
	$line = new Data();
	do_action( 'woocommerce_checkout_create_order_line_item', $line, 'key', line_in_cart(), new Order() );
	$order        = new Order();
	$order->items = array( 7 => $line );
	$order->set_id( 63 );
	$order->set_order_key( 'wc_order_key' );
	$order->set_status( $status );
	WC()->orders[63] = $order;
	return $order;
}

/** Where the page after the checkout leads, with this key in its address; null where it stays. */
function received( $key ) {
	WC()->order_received = 63;
	$_GET                = array( 'key' => $key );
	try {
		do_action( 'template_redirect' );
	} catch ( Redirected $redirected ) {
		return $redirected->getMessage();
	}
	return null;
}

/** What the page after the checkout says. */
function thanks(): string {
	ob_start();
	do_action( 'woocommerce_thankyou', 63 );
	return ob_get_clean();
}

$tests = array(
	'a link fills the cart and leads to its page'        => function ( $links ) {
		same( 'https://store.example/checkout/', follow( $links['checkout'] ) );
		same( '50.00', line_in_cart()['data']->get_price() );
		same( 'Deposit dep00000000000000001', line_in_cart()['data']->get_name() );
		same( 'none', line_in_cart()['data']->get_tax_status() );
		same( 'https://store.example/cart/', follow( $links['cart'] ) );
		line_in_cart();
	},
	'no cache and no referrer keeps a link'              => function ( $links ) {
		follow( $links['tampered'] );
		same( array( 'Cache-Control: no-store', 'Referrer-Policy: no-referrer' ), WC()->headers );
	},
	'what bridge did not seal for this storefront, or what has expired, is refused' => function ( $links ) {
		foreach ( array( 'tampered', 'swapped', 'foreign', 'cut', 'no_mac' ) as $name ) {
			same( 403, follow( $links[ $name ] ) );
		}
		same( 403, follow( '' ) );
		same( 403, follow( array( $links['checkout'] ) ) );
		WC()->now = EXPIRES;
		same( 403, follow( $links['checkout'] ) );
		same( array(), WC()->cart->contents );
		same( array(), WC()->products );
	},
	'a former key opens links still'                     => function ( $links ) {
		same( 'https://store.example/checkout/', follow( $links['former_key'] ) );
	},
	'a storefront of another currency or with too few decimals refuses' => function ( $links ) {
		WC()->currency = 'USD';
		same( 409, follow( $links['checkout'] ) );
		WC()->currency = 'EUR';
		WC()->decimals = 0;
		same( 'https://store.example/checkout/', follow( $links['checkout'] ) );
		same( 409, follow( $links['cents'] ) );
	},
	'other pages are left alone'                         => function ( $links ) {
		$_GET = array();
		do_action( 'template_redirect' );
		same( array(), WC()->headers );
	},
	'the product is made once, hidden and for one at a time' => function ( $links ) {
		follow( $links['checkout'] );
		follow( $links['cart'] );
		same( 1, count( WC()->products ) );
		$product = WC()->products[0];
		same( 'BRIDGE-DEPOSIT', $product->get_sku() );
		same( 'hidden', $product->get_catalog_visibility() );
		same( true, $product->get_virtual() );
		same( true, $product->get_sold_individually() );
	},
	'the product cannot be added by hand, others can'    => function ( $links ) {
		follow( $links['checkout'] );
		same( false, apply_filters( 'woocommerce_add_to_cart_validation', true, 1, 1 ) );
		same( true, apply_filters( 'woocommerce_add_to_cart_validation', true, 2, 1 ) );
		same( false, apply_filters( 'woocommerce_add_to_cart_validation', false, 2, 1 ) );
	},
	'an edited quantity goes back to one'                => function ( $links ) {
		follow( $links['checkout'] );
		WC()->cart->set_quantity( key( WC()->cart->contents ), 3, true );
		line_in_cart();
		same( 1, line_in_cart()['quantity'] );
	},
	'an expired deposit leaves the cart with a notice'   => function ( $links ) {
		follow( $links['checkout'] );
		do_action( 'woocommerce_check_cart_items' );
		same( array(), WC()->notices );
		WC()->now = EXPIRES;
		do_action( 'woocommerce_check_cart_items' );
		same( array(), WC()->cart->contents );
		same( array( 'error: The deposit has expired; please start it again.' ), WC()->notices );
	},
	'there are no coupons beside a deposit'              => function ( $links ) {
		same( true, apply_filters( 'woocommerce_coupons_enabled', true ) );
		follow( $links['checkout'] );
		same( false, apply_filters( 'woocommerce_coupons_enabled', true ) );
		WC()->cart = null;
		same( true, apply_filters( 'woocommerce_coupons_enabled', true ) );
	},
	'the cart says whose deposit it is, as text'         => function ( $links ) {
		follow( $links['markup'] );
		$shown = apply_filters( 'woocommerce_get_item_data', array(), line_in_cart() );
		same( array( array( 'key' => 'Deposit for', 'value' => '&lt;b&gt;acme' ) ), $shown );
		same( array(), apply_filters( 'woocommerce_get_item_data', array(), array( 'quantity' => 1 ) ) );
	},
	'the order line carries the tag and the return'      => function ( $links ) {
		follow( $links['checkout'] );
		$meta = order_from_cart( 'pending' )->items[7]->meta;
		same( array( '_bridge_deposit', '_bridge_return' ), array_keys( $meta ) );
		same( $links['tag'], $meta['_bridge_deposit'] );
		same( 'https://core.example/back?lang=de', $meta['_bridge_return'] );
		$other = new Data();
		do_action( 'woocommerce_checkout_create_order_line_item', $other, 'key', array(), new Order() );
		same( array(), $other->meta );
	},
	'a deposit needs no processing, other goods as before' => function ( $links ) {
		$product = new WC_Product_Simple();
		$product->set_sku( 'TSHIRT' );
		same( true, apply_filters( 'woocommerce_order_item_needs_processing', true, $product, 63 ) );
		$product->set_sku( 'BRIDGE-DEPOSIT' );
		same( false, apply_filters( 'woocommerce_order_item_needs_processing', true, $product, 63 ) );
	},
	'who has paid is led back, with the order'           => function ( $links ) {
		follow( $links['checkout'] );
		order_from_cart( 'completed' );
		same( 'https://core.example/back?lang=de&order=63', received( 'wc_order_key' ) );
		same( null, received( 'wc_order_other' ) );
		same( null, received( array( 'wc_order_key' ) ) );
	},
	'who has not paid yet stays, with a link back'       => function ( $links ) {
		follow( $links['checkout'] );
		order_from_cart( 'on-hold' );
		same( null, received( 'wc_order_key' ) );
		same( '<p><a href="https://core.example/back?lang=de&amp;order=63">Back to your balance</a></p>', thanks() );
	},
	'an order made by bridge itself leads back, too'     => function ( $links ) {
		$order       = new Order();
		$order->meta = array( '_bridge_return' => 'https://core.example/done' );
		$order->set_id( 63 );
		$order->set_order_key( 'wc_order_key' );
		$order->set_status( 'completed' );
		WC()->orders[63] = $order;
		same( 'https://core.example/done?order=63', received( 'wc_order_key' ) );
	},
	'orders without a return stay where they are'        => function ( $links ) {
		follow( $links['no_return'] );
		order_from_cart( 'completed' );
		same( null, received( 'wc_order_key' ) );
		same( '', thanks() );
	},
	'it gets along with order tables and the block checkout' => function ( $links ) {
		do_action( 'before_woocommerce_init' );
		same( array( 'custom_order_tables' => true, 'cart_checkout_blocks' => true ), WC()->compatible );
	},
);

$tests[ $argv[2] ]( json_decode( stream_get_contents( STDIN ), true ) );
