<?php
/**
 * Plugin Name: Bridge deposits
 * Description: Turns the signed deposit links of bridge into a cart, and leads back who has paid.
 * Version: 1.0.0
 * Requires PHP: 7.4
 * Requires Plugins: woocommerce
 *
 * A link holds a signed tag that only bridge can make and check. The plugin checks the link around
 * it and carries the tag to the order's line; it could make no tag itself.
 */

namespace Bridge\Deposits;

use Automattic\WooCommerce\Utilities\FeaturesUtil;

defined( 'ABSPATH' ) || exit;

/** This storefront's keys, in hex; any of them opens a link. Written by `bridge plugin`. */
const LINK_KEYS = array();

const PARAMETER   = 'bridge_deposit';
const SKU         = 'BRIDGE-DEPOSIT';
const TAG_KEY     = '_bridge_deposit';
const RETURN_KEY  = '_bridge_return';
const LINK_FIELDS = array( 'tag', 'amount', 'currency', 'expires_at', 'page', 'return_url', 'tenant', 'id' );

/** What a link says, by LINK_FIELDS; null where none of our keys sealed it, or it has expired. */
function opened( $link ): ?array {
	list( $content, $given ) = explode( '.', is_string( $link ) ? $link : '', 2 ) + array( '', '' );
	foreach ( LINK_KEYS as $key ) {
		$mac = hash_hmac( 'sha256', $content, hex2bin( $key ), true );
		if ( hash_equals( rtrim( strtr( base64_encode( $mac ), '+/', '-_' ), '=' ), $given ) ) {
			$values  = json_decode( base64_decode( strtr( $content, '-_', '+/' ) ), true );
			$deposit = array_combine( LINK_FIELDS, $values );
			return $deposit['expires_at'] > time() ? $deposit : null;
		}
	}
	return null;
}

/** Ends with a page that says why not. */
function refuse( string $why, int $status ): void {
	wp_die( esc_html( $why ), '', array( 'response' => $status ) );
}

/** The hidden product that a deposit is in the cart; made when first needed. */
function product_id(): int {
	$known = wc_get_product_id_by_sku( SKU );
	if ( $known ) {
		return $known;
	}
	$product = new \WC_Product_Simple();
	$product->set_name( 'Deposit' );
	$product->set_sku( SKU );
	$product->set_regular_price( '0' );
	$product->set_catalog_visibility( 'hidden' );
	$product->set_virtual( true );
	$product->set_sold_individually( true );
	return $product->save();
}

/** A link was followed: the deposit alone is put into the cart. */
function follow_link(): void {
	if ( ! isset( $_GET[ PARAMETER ] ) ) {
		return;
	}
	nocache_headers();
	header( 'Referrer-Policy: no-referrer' );
	$deposit = opened( wp_unslash( $_GET[ PARAMETER ] ) )
		?? refuse( __( 'This link is not valid, or has expired.', 'bridge-deposits' ), 403 );
	$amount  = (float) $deposit['amount'];
	$payable = round( $amount, wc_get_price_decimals() ) === $amount;
	if ( ! $payable || get_woocommerce_currency() !== $deposit['currency'] ) {
		refuse( sprintf( 'This storefront cannot take %s %s.', $deposit['amount'], $deposit['currency'] ), 409 );
	}
	WC()->cart->empty_cart();
	WC()->cart->add_to_cart( product_id(), 1, 0, array(), array( PARAMETER => $deposit ) )
		|| refuse( 'The product ' . SKU . ' cannot be put into the cart; publish it, with a price.', 500 );
	wp_safe_redirect( 'cart' === $deposit['page'] ? wc_get_cart_url() : wc_get_checkout_url() );
	exit;
}

/** Only a link puts the product into the cart; our own call is not asked here. */
function forbid_adding( $passed, $id ) {
	return $passed && wc_get_product_id_by_sku( SKU ) !== (int) $id;
}
add_filter( 'woocommerce_add_to_cart_validation', __NAMESPACE__ . '\forbid_adding', 10, 2 );

/** The deposits in a cart, by the cart's own keys. */
function deposits_in( $cart ): array {
	$in_cart = $cart ? $cart->get_cart_contents() : array();
	return array_filter( $in_cart, fn( $item ) => isset( $item[ PARAMETER ] ) );
}

/** A deposit costs what bridge signed, once, without tax. */
function set_amounts( $cart ): void {
	foreach ( deposits_in( $cart ) as $key => $item ) {
		$item['data']->set_price( $item[ PARAMETER ]['amount'] );
		$item['data']->set_name( 'Deposit ' . $item[ PARAMETER ]['id'] );
		$item['data']->set_tax_status( 'none' );
		if ( 1 !== (int) $item['quantity'] ) {
			$cart->set_quantity( $key, 1, false );
		}
	}
}
// After those who give discounts.
add_action( 'woocommerce_before_calculate_totals', __NAMESPACE__ . '\set_amounts', 1000 );

/** An expired deposit leaves the cart, on both checkouts. */
function drop_expired(): void {
	foreach ( deposits_in( WC()->cart ) as $key => $item ) {
		if ( $item[ PARAMETER ]['expires_at'] <= time() ) {
			WC()->cart->remove_cart_item( $key );
			wc_add_notice( __( 'The deposit has expired; please start it again.', 'bridge-deposits' ), 'error' );
		}
	}
}
add_action( 'woocommerce_check_cart_items', __NAMESPACE__ . '\drop_expired' );

/** No coupons beside a deposit. */
function forbid_coupons( $enabled ) {
	return $enabled && ! deposits_in( WC()->cart );
}
add_filter( 'woocommerce_coupons_enabled', __NAMESPACE__ . '\forbid_coupons' );

/** The cart and the checkout say whose deposit it is. */
function show_tenant( $shown, $item ) {
	if ( isset( $item[ PARAMETER ] ) ) {
		$tenant  = esc_html( $item[ PARAMETER ]['tenant'] );
		$shown[] = array( 'key' => __( 'Deposit for', 'bridge-deposits' ), 'value' => $tenant );
	}
	return $shown;
}
add_filter( 'woocommerce_get_item_data', __NAMESPACE__ . '\show_tenant', 10, 2 );

/** The order's line carries the tag; fires on the classic and on the block checkout. */
function tag_line( $line, $key, $item ): void {
	if ( isset( $item[ PARAMETER ] ) ) {
		$line->add_meta_data( TAG_KEY, $item[ PARAMETER ]['tag'], true );
		$line->add_meta_data( RETURN_KEY, $item[ PARAMETER ]['return_url'], true );
	}
}
add_action( 'woocommerce_checkout_create_order_line_item', __NAMESPACE__ . '\tag_line', 10, 3 );

/** A deposit is delivered by being paid: its order completes itself. */
function needs_no_processing( $needs, $product ) {
	return SKU === $product->get_sku() ? false : $needs;
}
add_filter( 'woocommerce_order_item_needs_processing', __NAMESPACE__ . '\needs_no_processing', 10, 2 );

/** Where the tenant goes after an order of bridge, with the order's id; empty for other orders. */
function return_url( $order ): string {
	foreach ( array( $order, ...array_values( $order->get_items() ) ) as $tagged ) {
		$url = (string) $tagged->get_meta( RETURN_KEY );
		if ( '' !== $url ) {
			return add_query_arg( 'order', $order->get_id(), $url );
		}
	}
	return '';
}

/** Whoever has paid goes back at once; who still has to (bank transfer) can read the details. */
function lead_back(): void {
	$order = is_order_received_page() ? wc_get_order( absint( get_query_var( 'order-received' ) ) ) : false;
	$key   = is_string( $_GET['key'] ?? '' ) ? wp_unslash( $_GET['key'] ?? '' ) : '';
	if ( ! $order || ! hash_equals( $order->get_order_key(), $key ) || ! $order->is_paid() ) {
		return;
	}
	$url = return_url( $order );
	if ( '' !== $url ) {
		// Not wp_safe_redirect: bridge signed or wrote where this goes, and it is another site.
		wp_redirect( $url );
		exit;
	}
}

/** Pages are looked at only where WooCommerce runs. */
function watch_pages(): void {
	add_action( 'template_redirect', __NAMESPACE__ . '\follow_link', 5 ); // Before WordPress guesses at the address (10).
	add_action( 'template_redirect', __NAMESPACE__ . '\lead_back', 30 ); // After WooCommerce has emptied the cart (20).
}
add_action( 'woocommerce_loaded', __NAMESPACE__ . '\watch_pages' );

/** The link back, on the page that says thank you. */
function show_link_back( $order_id ): void {
	$order = wc_get_order( $order_id );
	$url   = $order ? return_url( $order ) : '';
	$label = __( 'Back to your balance', 'bridge-deposits' );
	echo '' === $url ? '' : '<p><a href="' . esc_url( $url ) . '">' . esc_html( $label ) . '</a></p>';
}
add_action( 'woocommerce_thankyou', __NAMESPACE__ . '\show_link_back' );

/** Says what the plugin gets along with. */
function declare_compatible(): void {
	FeaturesUtil::declare_compatibility( 'custom_order_tables', __FILE__, true );
	FeaturesUtil::declare_compatibility( 'cart_checkout_blocks', __FILE__, true );
}
add_action( 'before_woocommerce_init', __NAMESPACE__ . '\declare_compatible' );
